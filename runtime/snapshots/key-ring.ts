import type { Seal } from "./chunk-writer.ts";
export function openKeyRing(_file: string | undefined): Seal {
  return { seal: (bytes) => bytes, open: (bytes) => bytes };
}
