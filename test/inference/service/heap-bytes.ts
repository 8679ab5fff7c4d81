import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** In use, garbage left out, and buffers too. */
export function heapBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
