/** Waits for an operation of a node. What it waits for goes on when the waiting ends. */
import { systemClock } from "../../../runtime/clock.ts";
import { type ApiClient, segment } from "./api-client.ts";
import { isApiProblem } from "./api-problem.ts";

export interface OperationItem {
  readonly id: string;
  readonly kind: string;
  readonly status: "running" | "succeeded" | "failed" | "cancelled";
  readonly done: number;
  readonly total: number | null;
  readonly unit: string;
  readonly result?: unknown;
  readonly error?: { readonly code: string; readonly detail: string };
}

const POLL_MS = 200;

/** Resolves when it has ended. A node that sheds load is asked again. */
export async function operationEnded(
  api: ApiClient,
  begun: OperationItem,
  progress: (operation: OperationItem) => void,
): Promise<OperationItem> {
  for (let operation = begun; ; ) {
    if (operation.status !== "running") return operation;
    progress(operation);
    await systemClock.sleep(POLL_MS);
    try {
      operation = (await api.get(`/v1/operations/${segment(begun.id)}`)) as OperationItem;
    } catch (error) {
      if (!isApiProblem(error) || error.status !== 429) throw error;
    }
  }
}
