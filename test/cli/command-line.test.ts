/** What words on a command line mean, and what is said of those that mean nothing. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { COMMANDS } from "../../api/cli/commands.ts";
import { choice, command, flag, optional, required, rest, text, whole } from "../../api/cli/framework/command.ts";
import { type Asked, readCommandLine } from "../../api/cli/framework/command-line.ts";
import { nearest } from "../../api/cli/framework/suggestion.ts";
import { isTidemarkError } from "../../runtime/errors.ts";

const none = { summary: "s", examples: [], run: async () => 0 };
const SAMPLES = [
  command({
    ...none,
    name: "send",
    arguments: { log: required("a log"), file: optional("a file") },
    options: {
      batch: whole("N", "n", { min: 1, max: 100, fallback: 50 }),
      rate: whole("N", "n", { min: 1, max: 100 }),
      "dry-run": flag("f"),
      from: choice(["start", "end"], "c", "start"),
      type: text("T", "t"),
    },
  }),
  command({ ...none, name: "letters list", arguments: {}, options: {} }),
  command({ ...none, name: "letters redrive", arguments: { ids: rest("ids") }, options: { all: flag("a") } }),
];

function read(...words: string[]): Asked {
  return readCommandLine(words, SAMPLES);
}

function valuesOf(...words: string[]): { args: unknown; options: unknown } {
  const asked = read(...words);
  assert.equal(asked.kind, "call");
  const { args, options } = (asked as Extract<Asked, { kind: "call" }>).line;
  return { args, options };
}

const DEFAULTS = { batch: 50, rate: undefined, "dry-run": false, from: "start", type: undefined };

suite("a command line", () => {
  test("gives arguments in order and options with their defaults", () => {
    assert.deepEqual(valuesOf("send", "meter"), { args: { log: "meter", file: undefined }, options: DEFAULTS });
    assert.deepEqual(valuesOf("send", "--batch", "7", "meter", "--dry-run", "f.ndjson", "--from=end"), {
      args: { log: "meter", file: "f.ndjson" },
      options: { ...DEFAULTS, batch: 7, "dry-run": true, from: "end" },
    });
  });

  test("takes - for standard input, words behind -- as they are, and values that begin with - after =", () => {
    assert.deepEqual(valuesOf("send", "meter", "-").args, { log: "meter", file: "-" });
    assert.deepEqual(valuesOf("send", "--", "--meter", "-x").args, { log: "--meter", file: "-x" });
    assert.deepEqual(valuesOf("send", "meter", "--type=-x").options, { ...DEFAULTS, type: "-x" });
  });

  test("takes common options also before the command", () => {
    const asked = read("--url", "http://a:1", "--json", "letters", "redrive", "x", "y");
    assert.equal(asked.kind, "call");
    const { common, args } = (asked as Extract<Asked, { kind: "call" }>).line;
    assert.deepEqual([common.url, common.json, args], ["http://a:1", true, { ids: ["x", "y"] }]);
  });

  const HELP: Readonly<Record<string, Asked["kind"]>> = {
    "": "overview",
    help: "overview",
    "--help": "overview",
    "--version": "version",
    "letters --help": "group-help",
    "help letters": "group-help",
    "help letters list": "help",
    "send --help": "help",
    "--help send": "help",
    "send --batch 7 --help": "help",
    "letters list --help": "help",
  };
  for (const [words, kind] of Object.entries(HELP)) {
    test(`"${words}" asks for ${kind}`, () => assert.equal(read(...words.split(" ").filter((word) => word !== "")).kind, kind));
  }

  const REFUSED: Readonly<Record<string, RegExp>> = {
    sned: /no command "sned"; did you mean "send"\?/,
    zzz: /no command "zzz"\. /,
    letters: /"letters" is a group of commands: letters list, letters redrive\./,
    "letters redirve": /no command "letters redirve"; did you mean "letters redrive"\?/,
    send: /<log> is missing: a log\./,
    "send a b c": /"c" is one argument too many/,
    "send a --bacth 5": /no option "--bacth"; did you mean "--batch"\?/,
    "send a --no-such-thing": /no option "--no-such-thing"\. /,
    "send a -b": /no option "-b"/,
    "send a --batch": /--batch needs a value/,
    "send a --batch --rate 5": /--batch needs a value/,
    "send a --batch 0": /--batch "0": write a whole number from 1 to 100/,
    "send a --batch 1e1": /--batch "1e1": write a whole/,
    "send a --batch 101": /--batch "101"/,
    "send a --batch 5 --batch 6": /--batch is given twice/,
    "send a --dry-run=yes": /--dry-run takes no value/,
    "send a --from middle": /--from "middle": write start or end/,
    "send a --type=": /--type "": it is empty/,
    "--bogus": /no option "--bogus"/,
    "letters list x": /"x" is one argument too many/,
    "send a --__proto__ x": /no option "--__proto__"/,
    "__proto__ x": /no command "__proto__"/,
  };
  for (const [words, says] of Object.entries(REFUSED)) {
    test(`"${words}" is refused with what is wrong`, () => {
      assert.throws(
        () => read(...words.split(" ")),
        (error) => isTidemarkError(error, "USAGE_INVALID") && says.test(error.message),
      );
    });
  }
});

test("a suggestion is near, or there is none", () => {
  const known = ["publish", "shards", "actor", "actors", "outputs"];
  assert.deepEqual(
    ["pub", "shrads", "acotr", "actorss", "output", "x", "watermelon", ""].map((word) => nearest(word, known)),
    ["publish", "shards", "actor", "actors", "outputs", undefined, undefined, undefined],
  );
});

suite("the commands", () => {
  test("have names that no other begins", () => {
    const names = COMMANDS.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    for (const name of names) assert.match(name, /^[a-z]+(-[a-z]+)*( [a-z]+)?$/);
  });

  test("mean one thing by an option: with a value in each, or in none", () => {
    const valued = new Map<string, boolean>();
    for (const { options } of COMMANDS) {
      for (const [name, { placeholder }] of Object.entries(options)) {
        assert.equal(valued.get(name) ?? placeholder !== undefined, placeholder !== undefined, name);
        valued.set(name, placeholder !== undefined);
      }
    }
  });

  test("have examples that are understood", () => {
    for (const { name, examples } of COMMANDS) {
      assert.ok(examples.length > 0, name);
      for (const { line } of examples) {
        const own = line.split("|").find((part) => /\btidemark /.test(part))!;
        const words = own
          .slice(own.indexOf("tidemark ") + 9)
          .replace(/[)>].*/, "")
          .match(/"[^"]*"|\S+/g)!;
        assert.equal(readCommandLine(words, COMMANDS).kind, "call", line);
      }
    }
  });
});
