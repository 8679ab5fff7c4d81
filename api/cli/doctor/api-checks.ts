/** Checks of a node's API: whether it answers, is ready, and what time it has. */
import { existsSync } from "node:fs";
import { systemClock } from "../../../runtime/clock.ts";
import { docPage } from "../../../runtime/doc-page.ts";
import { isTidemarkError } from "../../../runtime/errors.ts";
import type { Answer, ApiClient } from "../client/api-client.ts";
import { isApiProblem } from "../client/api-problem.ts";
import { type Check, fail, ok } from "./check.ts";
import { checkClock } from "./clock-skew.ts";

const TIMEOUT_MS = 5_000;
/** The Date header has whole seconds. */
const DATE_RESOLUTION_MS = 1_000;

export async function checkApi(api: ApiClient): Promise<Check[]> {
  const before = systemClock.now();
  let alive: Answer;
  try {
    alive = await api.ask("GET", "/healthz", { timeoutMs: TIMEOUT_MS });
  } catch (error) {
    if (!isTidemarkError(error) && !isApiProblem(error)) throw error;
    // Where an app lies, its own node is meant and not the jobs that ship.
    const starts = existsSync("app.ts")
      ? "`tidemark dev`, which runs app.ts here, or `tidemark node`"
      : "`tidemark start` or `tidemark node`";
    return [fail("api", error.detail, `Start a node (${starts}), or say where it is with TIDEMARK_HTTP_PORT or --url.`)];
  }
  const after = systemClock.now();
  const checks = [ok("api", `${api.url} answers`), await checkReady(api)];
  const date = Date.parse(alive.headers.get("date") ?? "");
  if (!Number.isNaN(date)) {
    checks.push(checkClock("clock of the node", "the node", { before, after, theirs: date, resolutionMs: DATE_RESOLUTION_MS }));
  }
  return checks;
}

async function checkReady(api: ApiClient): Promise<Check> {
  try {
    const { body } = await api.ask("GET", "/readyz", { timeoutMs: TIMEOUT_MS, alsoOk: [503] });
    const { ready, reasons } = body as { readonly ready?: unknown; readonly reasons?: readonly string[] };
    if (ready === true) return ok("ready", "every shard runs");
    return fail(
      "ready",
      (reasons ?? []).join("; "),
      `\`tidemark shards\` shows each shard; ${docPage("errors")} has a page for each code.`,
    );
  } catch (error) {
    return fail("ready", error instanceof Error ? error.message : String(error), "Look at the node's log.");
  }
}
