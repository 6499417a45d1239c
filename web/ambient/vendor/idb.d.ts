/** The packaging step puts the npm package here. */
export * from "idb";
