/** Answers about the past: at once, or, when much is to be folded, as the result of an operation that is waited for. */
import type { Terminal } from "../terminal/terminal.ts";
import type { ApiClient, Query } from "./api-client.ts";
import { resultOf } from "./operation-run.ts";
import type { OperationItem } from "./operation-wait.ts";

export async function pastAnswer(api: ApiClient, terminal: Terminal, path: string, query?: Query): Promise<unknown> {
  const { status, body } = await api.ask("GET", path, query === undefined ? {} : { query });
  return status === 202 ? await resultOf(api, terminal, body as OperationItem) : body;
}
