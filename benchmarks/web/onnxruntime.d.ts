/** What is used of onnxruntime-web, which is fetched on first use: its own types may not be there. */

export const env: { wasm: { numThreads: number; wasmPaths: string } };
// biome-ignore lint/suspicious/noExplicitAny: the peer's objects are opaque here
export const InferenceSession: { create(url: string, options: object): Promise<any> };
export const Tensor: new (type: string, data: ArrayLike<number | bigint>, dims: number[]) => object;
