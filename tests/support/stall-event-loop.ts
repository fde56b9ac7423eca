/** Keeps this process from doing anything for a while: no timer fires and no socket is read. */
export function stallEventLoop(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}
