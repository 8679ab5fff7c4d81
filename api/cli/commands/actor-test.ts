/** The history of a key as a test, as `tidemark actor … --test` writes it. */
import { type ExportedHistory, exportedTest } from "../../../runtime/replay/exported-test.ts";
import { type ApiClient, segment } from "../client/api-client.ts";
import { ApiProblem } from "../client/api-problem.ts";
import { pastAnswer } from "../client/past-answer.ts";
import type { Terminal } from "../terminal/terminal.ts";

export interface WantedTest {
  readonly type: string;
  readonly key: string;
  /** A position; all that is committed without it. */
  readonly at: string | undefined;
  /** Of the app's module, from the file that the test is going to be. */
  readonly app: string | undefined;
}

/** A module's text, into a pipe as on a terminal. */
export async function writeTest(api: ApiClient, terminal: Terminal, { type, key, at, app = "./app.ts" }: WantedTest): Promise<void> {
  const answer = await pastAnswer(api, terminal, `/v1/actors/${segment(type)}/${segment(key)}/given`, { at });
  if (answer === null)
    throw new ApiProblem({ status: 404, code: "NOT_FOUND", detail: `The key of the ${type} was given nothing up to then.` });
  // A bare name would be imported as a package.
  const from = /^(?:\.{1,2})?\//.test(app) ? app : `./${app}`;
  await terminal.line(exportedTest({ ...(answer as Omit<ExportedHistory, "app">), app: from }).trimEnd());
}
