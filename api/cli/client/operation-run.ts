/** Starts an operation of a node and waits for it, with a line of progress on a terminal. */
import { randomUUID } from "node:crypto";
import { isErrorCode, TidemarkError } from "../../../runtime/errors.ts";
import { barOf } from "../progress-bar.ts";
import type { Terminal } from "../terminal/terminal.ts";
import type { ApiClient } from "./api-client.ts";
import { ApiProblem } from "./api-problem.ts";
import { type OperationItem, operationEnded } from "./operation-wait.ts";

/** The result of an operation that succeeded; throws why it did not. */
export async function runOperation(api: ApiClient, terminal: Terminal, path: string, body?: unknown): Promise<unknown> {
  const answer = await api.ask("POST", path, { ...(body === undefined ? {} : { body }), headers: { "idempotency-key": randomUUID() } });
  return await resultOf(api, terminal, answer.body as OperationItem);
}

/** The same of one that was started already. */
export async function resultOf(api: ApiClient, terminal: Terminal, begun: OperationItem): Promise<unknown> {
  const draws = terminal.stderr.isTTY === true;
  const ended = await operationEnded(api, begun, (operation) => {
    if (draws) terminal.stderr.write(`\r\u001b[K${progressText(operation)}`);
  });
  if (draws) terminal.stderr.write("\r\u001b[K");
  if (ended.status === "succeeded") return ended.result;
  const { code, detail } = ended.error ?? { code: "OPERATION_CANCELLED", detail: `${ended.id} was cancelled.` };
  if (isErrorCode(code)) throw new TidemarkError(code, detail);
  throw new ApiProblem({ status: 409, code, detail });
}

function progressText({ kind, done, total, unit }: OperationItem): string {
  return total === null || total === 0
    ? `${kind}: ${done} ${unit}`
    : `${kind} ${barOf(Math.min(1, done / total))} ${done}/${total} ${unit}`;
}
