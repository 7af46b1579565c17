/** The part of the WebAssembly interface that the engine uses; TypeScript has it only together with the browser's. */
declare namespace WebAssembly {
  class Module { constructor (bytes: Uint8Array) }
  class Instance {
    constructor (module: Module, imports: Record<string, Record<string, Memory>>)
    readonly exports: Record<string, unknown>
  }
  class Memory {
    constructor (descriptor: { initial: number, maximum: number, shared: true })
    readonly buffer: SharedArrayBuffer
    grow (pages: number): number
  }
  function validate (bytes: Uint8Array): boolean
}
