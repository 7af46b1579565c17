/** Bytes of `60MB`, `1.5 GiB`, `900000`; undefined for anything else. */
export function byteSize (text: string): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,6})?) ?(?:([kMGT])(i?)B|B)?$/.exec(text)
  if (match === null) return undefined
  const power = ['k', 'M', 'G', 'T'].indexOf(match[2]) + 1
  return Math.floor(Number(match[1]) * (match[3] === 'i' ? 1024 : 1000) ** power)
}
