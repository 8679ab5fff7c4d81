/**
 * Patterns and events in the short writing of docs/patterns.md. A step called `b` takes events that begin with that letter; `x=bc` takes
 * those that begin with `b` or `c`. Events come one a millisecond, from 0, unless `b1@7` says when. A match is written by its events.
 */
import assert from "node:assert/strict";
import { begin, type Pattern, type StepOptions } from "../../actors/model/patterns/pattern.ts";
import { MatcherRun } from "./matcher-run.ts";
import { type Finding, findings, type OracleEvent } from "./oracle.ts";

type Notated = Pattern<string, string>;

/** Reads `begin(a).followedBy(b).times(2).within(9)`. */
export function readPattern(text: string): Notated {
  const calls = [...text.matchAll(/\.?(\w+)\(([^)]*)\)/g)].map(([, word, given]) => ({ word: word!, given: given! }));
  assert.equal(calls.map(({ word, given }) => `${word}(${given})`).join("."), text, "what does this say?");
  let pattern: Notated | undefined;
  for (const { word, given } of calls) pattern = called(pattern, word, given);
  return pattern!;
}

function called(pattern: Notated | undefined, word: string, given: string): Notated {
  const [name = "", letters = name] = given.split("=");
  const where: StepOptions<string, string>["where"] = (event) => letters.includes(event[0]!);
  if (pattern === undefined) return begin<string, string>(name, { where });
  switch (word) {
    case "next":
    case "followedBy":
    case "followedByAny":
    case "notNext":
    case "notFollowedBy":
      return pattern[word](name, { where });
    case "until":
      return pattern.until(where);
    case "times": {
      const [from, to = from] = given.split(",").map(Number);
      return pattern.times(from!, to);
    }
    case "within":
    case "timesOrMore":
      return pattern[word](Number(given));
    case "skipToFirst":
    case "skipToLast":
      return pattern[word](given);
    case "oneOrMore":
    case "optional":
    case "greedy":
    case "consecutive":
    case "allowCombinations":
    case "skipToNext":
    case "skipPastLastEvent":
      return pattern[word]();
    default:
      throw new Error(`${word}: no such word`);
  }
}

/** Reads `a b1 b2@7`. */
export function readEvents(text: string): OracleEvent[] {
  let time = -1;
  return text.split(" ").map((word) => {
    const [value, at] = word.split("@");
    time = at === undefined ? time + 1 : Number(at);
    return { time, value };
  });
}

/** What is found, as `a b1, a b2`, by the matcher and by the oracle; without a deadline, time ends with the events. */
export function findAll(pattern: string, events: string, until?: number): { readonly matcher: string; readonly oracle: string } {
  const declaration = readPattern(pattern).declaration();
  const list = readEvents(events);
  const end = until ?? list.at(-1)!.time + (declaration.withinMs ?? 0);
  const run = new MatcherRun(declaration);
  for (const event of list) run.event(event);
  run.time(end);
  const write = (found: readonly Finding[]): string =>
    found
      .filter(({ timedOut }) => !timedOut)
      .map((match) =>
        Object.values(match.events)
          .flat()
          .map((place) => list[place]!.value)
          .join(" "),
      )
      .join(", ");
  return { matcher: write(run.found), oracle: write(findings(declaration, list, end)) };
}
