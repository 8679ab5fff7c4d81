/** What training a model gives, and how it is written down: the ONNX file, its declaration, and the figures of its card. */
import { createHash } from "node:crypto";
import type { DescribedModel, JsonSchema } from "../model-record.ts";
import { encodeModel, type ModelProto } from "../onnx/onnx-proto.ts";

/** What is registered of a model, and the hash that its content must have. */
export type ModelDeclaration = DescribedModel & { readonly sha256: string };

export interface TrainedModel {
  readonly name: string;
  readonly content: Uint8Array;
  readonly declaration: ModelDeclaration;
  /** Lines of Markdown. */
  readonly figures: readonly string[];
}

export interface Served extends Omit<ModelDeclaration, "sha256" | "input" | "output"> {
  readonly name: string;
  readonly input: JsonSchema;
  readonly output: JsonSchema;
}

export function trainedModel(
  graph: ModelProto,
  { name, serving, input, output, ...rest }: Served,
  figures: readonly string[],
): TrainedModel {
  const content = encodeModel(graph);
  const sha256 = createHash("sha256").update(content).digest("hex");
  return { name, content, declaration: { sha256, serving, input, output, ...rest }, figures };
}

/** As it stands in the file beside the model, with short lists on one line, as the formatter has them. */
export function declarationText(declaration: ModelDeclaration): string {
  const list = /\[\n\s+([^[\]{}]*?)\n\s+\]/g;
  return `${JSON.stringify(declaration, null, 2).replace(list, (_, items: string) => `[${items.replace(/\n\s+/g, " ")}]`)}\n`;
}

const FIGURES = /(<!-- figures -->\n)[\s\S]*(\n<!-- \/figures -->)/;

/** The card with other figures: what stands between two comments of it is written by training. */
export function withFigures(card: string, { name, figures }: Pick<TrainedModel, "name" | "figures">): string {
  if (!FIGURES.test(card))
    throw new Error(`the card of ${name} has no place for its figures: put <!-- figures --> and <!-- /figures --> on lines of their own`);
  return card.replace(FIGURES, (_, before: string, after: string) => `${before}\n${figures.join("\n")}\n${after}`);
}
