/**
 * Models that come with an app: a node registers each when it starts, and puts it in force where no version of it is.
 * Which one is in force from then on is the log's to say: a later build that brings another one registers it, and whoever
 * runs the job activates it.
 */
export interface ShippedModel {
  readonly kind: "shipped-model";
  readonly name: string;
  /** File of its description, JSON as `tidemark models put` takes it. */
  readonly description: URL;
  /** File of its content; absent for one that a server runs. */
  readonly content: URL | undefined;
}

const MODEL = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/**
 * Declares a model that lies beside the module: `shippedModel("fraud", { description: new URL("./fraud.json", import.meta.url),
 * content: new URL("./fraud.onnx", import.meta.url) })`. Throws TypeError for a bad name.
 */
export function shippedModel(name: string, files: { readonly description: URL; readonly content?: URL }): ShippedModel {
  if (!MODEL.test(name)) throw new TypeError(`shippedModel "${name}": a model's name matches ${MODEL}.`);
  return { kind: "shipped-model", name, description: files.description, content: files.content };
}
