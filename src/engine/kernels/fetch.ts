/**
 * Reads each cache line in [from, to) once, before they are worked on. All of them are under way together then, where a
 * product waits for a few at a time: a processor runs some hundred instructions ahead of a read that waits for memory, which
 * are a few lines of a product and all of this loop. The 16 bytes at `scratch` are written so that the reads are not
 * optimised away.
 */
// @ts-ignore: decorator
@inline
export function fetch (from: usize, to: usize, scratch: usize): void {
  let all = i32x4.splat(0)
  for (let p = from; p < to; p += 64) all = v128.or(all, v128.load(p))
  v128.store(scratch, all)
}
