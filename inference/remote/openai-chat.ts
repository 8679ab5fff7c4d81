/**
 * A model that is asked as a chat: a prompt made of the input, at temperature 0, and what the model says as the output.
 * What it costs is counted in tokens.
 */
import { failure, InferenceError } from "../failures.ts";
import type { ModelAnswer, ModelInput } from "../inference.ts";
import type { JsonSchema } from "../model-record.ts";
import type { Endpoint } from "./endpoint.ts";
import { outputAt } from "./json-model.ts";
import { valueAt } from "./json-pointer.ts";
import { type Prompt, readTemplate } from "./prompt-template.ts";
import type { OpenAiChatServing } from "./remote-serving.ts";
import { tokensUsed } from "./tokens-used.ts";

export class OpenAiChat {
  readonly #serving: OpenAiChatServing;
  readonly #endpoint: Endpoint;
  readonly #fixed: Readonly<Record<string, unknown>>;
  readonly #prompts: readonly { readonly role: "system" | "user"; readonly prompt: Prompt }[];

  /** `name`: of the model's record. */
  constructor(serving: OpenAiChatServing, endpoint: Endpoint, name: string, output: JsonSchema) {
    this.#serving = serving;
    this.#endpoint = endpoint;
    const { model, maxTokens, maxTokensField = "max_tokens", system, user } = serving;
    this.#fixed = { model, temperature: 0, [maxTokensField]: maxTokens, ...responseFormat(serving, name, output) };
    this.#prompts = [
      ...(system === undefined ? [] : [{ role: "system" as const, prompt: promptOf(system) }]),
      { role: "user" as const, prompt: promptOf(user) },
    ];
  }

  async ask(input: ModelInput, signal: AbortSignal): Promise<ModelAnswer> {
    const messages: { readonly role: string; readonly content: string }[] = [];
    for (const { role, prompt } of this.#prompts) {
      const made = prompt(input.value);
      if ("refused" in made) return { failed: failure("INPUT_REFUSED", `The input ${made.refused}.`) };
      messages.push({ role, content: made.text });
    }
    const body = JSON.stringify({ ...this.#fixed, messages });
    const json = await this.#endpoint.post(body, [input.id], signal);
    return this.#read(json, tokensUsed(json) ?? Buffer.byteLength(body) + this.#serving.maxTokens);
  }

  #read(json: unknown, units: number): ModelAnswer {
    const refused = (message: string): ModelAnswer => ({ failed: failure("OUTPUT_REFUSED", message) });
    const choice = valueAt(json, ["choices", "0"]);
    const content = valueAt(choice, ["message", "content"]);
    const refusal = valueAt(choice, ["message", "refusal"]);
    if (typeof refusal === "string" && refusal !== "") return refused("The model refused to answer.");
    const end = valueAt(choice, ["finish_reason"]);
    if (end === "length") return refused(`The answer was cut off at ${this.#serving.maxTokens} tokens: raise maxTokens.`);
    if (end === "content_filter") return refused("The answer was held back by the server's content filter.");
    if (typeof content !== "string") throw new InferenceError(failure("BAD_RESPONSE", "The answer has no content of a message."));
    if (this.#serving.content === "text") return { output: content, units };
    try {
      return outputAt(JSON.parse(content), this.#serving.output, units);
    } catch {
      return refused("What the model said is no JSON.");
    }
  }
}

function promptOf(template: string): Prompt {
  const prompt = readTemplate(template);
  if (typeof prompt === "string") throw new Error(`a template was not checked: it ${prompt}`);
  return prompt;
}

function responseFormat({ responseFormat: format = "none" }: OpenAiChatServing, name: string, schema: JsonSchema): object {
  if (format === "none") return {};
  if (format === "object") return { response_format: { type: "json_object" } };
  const jsonSchema = { name: name.replaceAll(/[^A-Za-z0-9_-]/g, "_"), strict: true, schema };
  return { response_format: { type: "json_schema", json_schema: jsonSchema } };
}
