/**
 * Redrives of a result's dead letter: what the API appends to the journal on a real server is what the fold takes.
 * Nodes refuse jobs with effects, so the history is folded here.
 */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { readJournalEntry } from "../../actors/fold/journal.ts";
import { journalSubject } from "../../actors/fold/subject.ts";
import { type DeadLetter, deadLetterOf } from "../../api/http/dead-letter.ts";
import { HttpProblem } from "../../api/http/problem.ts";
import { Redrives } from "../../api/http/redrives.ts";
import { NatsPartitionLog } from "../../runtime/log/nats-partition-log.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { connectTo, createLog } from "../log/log-setup.ts";
import { EffectLog, effectJob, failure, idOf, scored } from "../support/effect-script.ts";
import { readOutputs } from "../support/entries.ts";
import { startTestNats } from "../support/nats.ts";
import { natsResults } from "../support/result-places.ts";

const nats = await startTestNats({ after });
const nc = await connectTo({ after }, nats.url);
await createLog(nc, "asker");
const job = effectJob();
const stored = new NatsPartitionLog(nc, "asker", 0);
const redrives = new Redrives(nc, natsResults(nc));

// Results of two calls in one entry, each of which its handler fails at; the first result counts for nothing.
const log = new EffectLog().run([{ ask: 1 }, { ask: 2 }]);
const large = { score: 1, steps: [{ recent: 1 }, { fail: "x".repeat(8_000) }] };
log.results([scored(idOf(9), 1), scored(idOf(2), 1, { output: large }), scored(idOf(2, 2), 2, failure("FAIL"))]);
for (const { subject, payload } of log.entries) await stored.append(subject, payload);

const outputs = () => readOutputs(foldHistory(log.history(job)).outputs);
const letters = (): DeadLetter[] => outputs().flatMap((output) => deadLetterOf(output) ?? []);

/** Redrives it through the API, folds what that appended, and gives the new dead letter. */
async function redriven(letter: DeadLetter): Promise<DeadLetter> {
  const position = await redrives.append(job, letter, "ann", "mended");
  const entry = await stored.lastOn(journalSubject("asker", 0, "asker"));
  assert.equal(position, `0:${entry!.sequence}.0`);
  log.raw(entry!.subject, Buffer.from(entry!.payload).toString());
  assert.equal((outputs().at(-1)!.data.detail as { outcome: string }).outcome, "dead-lettered");
  return letters().at(-1)!;
}

test("a result is put back as a whole, a failure as one, and a redrive that failed again", async () => {
  const [done, failed] = letters();
  assert.ok(done!.excerpt.length < JSON.stringify(large).length);
  const again = await redriven(done!);
  assert.deepEqual([again.handler, again.call, again.error], [done!.handler, done!.call, done!.error]);
  assert.deepEqual((await redriven(again)).call, done!.call);
  const failedAgain = await redriven(failed!);
  assert.deepEqual([failedAgain.handler, failedAgain.call], ["asker.score.failed", failed!.call]);
});

test("what the state keeps stands in no command", async () => {
  const letter: DeadLetter = { ...letters()[0]!, kept: true };
  const { call, ...rest } = letter;
  const timer = { name: "later", id: "", time: "2026-01-15T12:00:00.000Z", armedBy: "n1" };
  const commands: Record<string, unknown>[] = [];
  for (const each of [letter, { ...rest, timer, excerpt: '{"steps":"[pii]"}' }]) {
    await redrives.append(job, each, "ann", undefined);
    const entry = await stored.lastOn(journalSubject("asker", 0, "asker"));
    const {
      kind: _kind,
      deadLetter: _letter,
      handler: _handler,
      who: _who,
      ...carried
    } = JSON.parse(Buffer.from(entry!.payload).toString());
    commands.push(carried);
    assert.equal(readJournalEntry(Buffer.from(entry!.payload).toString())?.kind, "redrive");
  }
  const { id, now, cause } = call!;
  const { name: _name, ...fired } = timer;
  assert.deepEqual(commands, [
    { key: letter.key, kept: true, call: { id, now, cause }, output: large },
    { key: letter.key, timer: fired, kept: true },
  ]);
});

test("a dead letter at whose position no result of its call stands is refused", async () => {
  const [letter] = letters();
  for (const position of ["0:2.0", "0:3.0", "0:3.2", "0:999.0", "0:1.0"]) {
    await assert.rejects(redrives.append(job, { ...letter!, position }, "ann", undefined), (error: unknown) => {
      assert.ok(error instanceof HttpProblem);
      assert.deepEqual([error.status, error.code], [409, "NOT_REDRIVABLE"]);
      assert.match(error.message, /no longer holds the result/);
      return true;
    });
  }
});
