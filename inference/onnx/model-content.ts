/** A model's file, taken only when it is the one that was registered, and opened. */
import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { failure, InferenceError } from "../failures.ts";
import { CONTENT_MAX_BYTES } from "./bounds.ts";
import { type ModelStructure, readModel, refused } from "./model-structure.ts";
import { type OnnxSession, openSession } from "./onnx-runtime.ts";

export interface ModelContent {
  readonly path: string;
  /** As hex. */
  readonly sha256: string;
}

/** Throws InferenceError MODEL_HASH or MODEL_REFUSED. */
export async function openContent(content: ModelContent): Promise<{ readonly structure: ModelStructure; readonly session: OnnxSession }> {
  const model = readModel(await read(content));
  return { structure: model.structure, session: await openSession(model.content) };
}

async function read({ path, sha256 }: ModelContent): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    const { size } = await stat(path);
    if (size > CONTENT_MAX_BYTES) throw refused(`the file has ${size} bytes, over ${CONTENT_MAX_BYTES}`);
    bytes = await readFile(path);
  } catch (error) {
    if (error instanceof InferenceError) throw error;
    throw refused(`its file could not be read (${(error as NodeJS.ErrnoException).code})`);
  }
  const found = createHash("sha256").update(bytes).digest("hex");
  if (found !== sha256) throw new InferenceError(failure("MODEL_HASH", `the file has the sha256 ${found}, ${sha256} is registered`));
  return bytes;
}
