/** A model's file, taken only when it is the one that was registered, and opened. */
import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { failure, InferenceError } from "../failures.ts";
import { CONTENT_MAX_BYTES, PIECE_BYTES } from "./bounds.ts";
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
  // A piece at a time, with all else between two of them: in the process's own thread other models answer meanwhile.
  const hash = createHash("sha256");
  let bytes: Buffer;
  let file: FileHandle | undefined;
  try {
    file = await open(path);
    const { size } = await file.stat();
    if (size > CONTENT_MAX_BYTES) throw refused(`the file has ${size} bytes, over ${CONTENT_MAX_BYTES}`);
    // What is not read is not hashed either, and filling a gigabyte with zeros takes a while.
    bytes = Buffer.allocUnsafeSlow(size);
    for (let have = 0, bytesRead = -1; have < size && bytesRead !== 0; have += bytesRead) {
      ({ bytesRead } = await file.read(bytes, have, Math.min(PIECE_BYTES, size - have), have));
      hash.update(bytes.subarray(have, have + bytesRead));
    }
  } catch (error) {
    if (error instanceof InferenceError) throw error;
    throw refused(`its file could not be read (${(error as NodeJS.ErrnoException).code})`);
  } finally {
    await file?.close();
  }
  const found = hash.digest("hex");
  if (found !== sha256) throw new InferenceError(failure("MODEL_HASH", `the file has the sha256 ${found}, ${sha256} is registered`));
  return bytes;
}
