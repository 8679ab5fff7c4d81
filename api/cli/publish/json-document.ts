/** Reads one document of an input: a JSON object, or why it is none. */
import { isUtf8 } from "node:buffer";
import type { DocumentText } from "./json-documents.ts";

/** Something of the input that was not taken, and why. */
export interface Refusal {
  readonly line: number;
  /** Empty when it has none. */
  readonly id: string;
  readonly code: string;
  readonly detail: string;
}

export type Read = { readonly value: Readonly<Record<string, unknown>>; readonly bytes: Uint8Array } | { readonly refusal: Refusal };

export function readObject({ line, bytes }: DocumentText, tooLong: { readonly code: string; readonly detail: string }): Read {
  const refuse = (code: string, detail: string): Read => ({ refusal: { line, id: "", code, detail } });
  if (bytes === undefined) return refuse(tooLong.code, tooLong.detail);
  if (!isUtf8(bytes)) return refuse("INPUT_INVALID", "The text is not UTF-8.");
  let value: unknown;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString();
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (text.trim() === "{")
      return refuse("INPUT_INVALID", "A document that goes over several lines: write one a line, or a JSON array of them.");
    return refuse("INPUT_INVALID", `This is no JSON: ${error instanceof Error ? error.message : String(error)}.`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return refuse("INPUT_INVALID", "This is no JSON object.");
  return { value: value as Readonly<Record<string, unknown>>, bytes };
}
