/** `tinyinfer bundle` writes this script: the SHA-256 of every file of the folder by its path. */
declare global {
  var tinyinferFiles: Record<string, string>;
}
export {};
