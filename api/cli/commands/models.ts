/** `tidemark models list|put|activate|check`: versions of models, which is in force, and trying a content beforehand. */
import { readFile } from "node:fs/promises";
import { checkModel, type OutputCheck } from "../../../inference/onnx/check-model.ts";
import { TidemarkError } from "../../../runtime/errors.ts";
import { segment } from "../client/api-client.ts";
import { command, file, flag, parsed, required, text, usageError, whole } from "../framework/command.ts";
import { writeList } from "../terminal/list.ts";
import { printable } from "../terminal/printable.ts";
import { type Column, Table } from "../terminal/table.ts";

interface InForce {
  readonly log: string;
  readonly champion: number | null;
  readonly challenger: { readonly version: number; readonly share: number } | null;
}

interface Model {
  readonly name: string;
  readonly versions: readonly { readonly version: number; readonly kind: string }[];
  readonly inForce: readonly InForce[];
}

const COLUMNS: readonly Column<Model>[] = [
  { title: "MODEL", of: ({ name }) => name },
  { title: "VERSIONS", of: ({ versions }) => versions.map(({ version, kind }) => `${version} (${kind})`).join(", ") || "-" },
  { title: "IN FORCE", of: ({ inForce }) => inForce.map(inForceText).join(", ") || "-" },
];

const OUTPUTS: readonly Column<OutputCheck>[] = [
  { title: "OUTPUT", of: ({ name }) => name },
  { title: "TYPE", of: ({ described }) => described },
  { title: "DIMS", of: ({ dims }) => `[${dims.join(", ")}]` },
  { title: "EQUAL", of: ({ equal }) => (equal ? "yes" : "no"), colour: ({ equal }) => (equal ? undefined : "red") },
  { title: "LARGEST DIFFERENCE", of: ({ differenceMax }) => (differenceMax === null ? "-" : String(differenceMax)) },
  {
    title: "WHERE",
    of: ({ worst, reason }) =>
      reason ?? (worst === undefined ? "-" : `[${worst.at.join(", ")}]: ${worst.found}, expected ${worst.expected}`),
  },
];

/** What the API takes. */
const CONTENT_MAX_BYTES = 64 * 1024 * 1024;

const NAME = required("the model, as effects name it");
const SHARE_EXAMPLE = "3:0.1";

export const modelsList = command({
  name: "models list",
  summary: "Models, their versions, and which is in force where",
  arguments: {},
  options: {},
  examples: [{ line: "tidemark models list", says: "Of each log: its champion, and behind a slash the challenger with its share" }],
  async run({ api, terminal }) {
    return await writeList(terminal, api().whole("/v1/models"), COLUMNS);
  },
});

export const modelsPut = command({
  name: "models put",
  summary: "Registers a version of a model; none is in force by that",
  details: [
    "The description is JSON: how the model is served, the JSON Schemas of its input and output, the field that has its confidence. Versions are numbered from 1. Put again the same, it is found and no new version comes of it.",
  ],
  arguments: { name: NAME, description: required("file of its description", { file: true }) },
  options: { content: file("FILE", "The content of a model that runs here, such as fraud.onnx") },
  examples: [
    { line: "tidemark models put fraud fraud.json --content fraud.onnx", says: "Says which version it is" },
    { line: "tidemark models activate fraud --champion 2", says: "From then on calls go to it" },
  ],
  async run({ args: { name, description }, options: { content }, api, terminal }) {
    const body = {
      description: await json(description),
      ...(content === undefined ? {} : { content: await encoded(content) }),
    };
    const answer = await api().ask("POST", `/v1/models/${segment(name)}/versions`, { body, timeoutMs: 300_000 });
    const { version, written } = answer.body as {
      readonly version: { readonly version: number; readonly sha256: string };
      readonly written: boolean;
    };
    if (terminal.json) await terminal.record(answer.body);
    else
      await terminal.line(
        printable(`${name} version ${version.version}${written ? "" : ", which was there"} (${version.sha256.slice(0, 12)})`),
      );
    return 0;
  },
});

export const modelsActivate = command({
  name: "models activate",
  summary: "Puts versions of a model in force: what is asked for afterwards goes to them",
  details: [
    "The champion answers the handlers. A challenger is asked besides, for a share of the events, and its answers are told in `tidemark.inference` alone. What waits keeps the version that it was asked of.",
  ],
  arguments: { name: NAME },
  options: {
    champion: whole("VERSION", "Version that answers", { min: 1, max: 2 ** 31 - 1 }),
    challenger: parsed("VERSION:SHARE", "Version that is asked besides, and for which share of the events", readChallenger),
    "no-challenger": flag("Ask no challenger any more"),
    rollback: flag("The champion before the present one"),
    log: text("LOG", "In this log alone"),
  },
  examples: [
    { line: `tidemark models activate fraud --challenger ${SHARE_EXAMPLE}`, says: "Version 3 is asked besides, for a tenth of the events" },
    { line: "tidemark models activate fraud --champion 3", says: "It is promoted" },
    { line: "tidemark models activate fraud --rollback", says: "Back to the one before" },
  ],
  async run({ args: { name }, options, api, terminal }) {
    const { champion, challenger, rollback, log } = options;
    if (challenger !== undefined && options["no-challenger"]) throw usageError("--challenger and --no-challenger exclude each other.");
    if (champion !== undefined && rollback) throw usageError("--champion and --rollback exclude each other.");
    if (champion === undefined && challenger === undefined && !options["no-challenger"] && !rollback)
      throw usageError("Name a champion, a challenger, or a rollback.");
    const body = {
      ...(champion === undefined ? {} : { champion }),
      ...(challenger === undefined ? {} : { challenger }),
      ...(options["no-challenger"] ? { challenger: null } : {}),
      ...(rollback ? { rollback: true } : {}),
      ...(log === undefined ? {} : { log }),
    };
    const answer = await api().ask("PUT", `/v1/models/${segment(name)}`, { body });
    const { inForce } = answer.body as { readonly inForce: readonly InForce[] };
    if (terminal.json) await terminal.record(answer.body);
    else for (const one of inForce) await terminal.line(printable(`${name} in force in ${inForceText(one)}`));
    return 0;
  },
});

export const modelsCheck = command({
  name: "models check",
  summary: "Runs an ONNX model here, and compares what comes out with what is expected",
  details: [
    'Tensors are JSON by the names of the model\'s inputs and outputs: `{"X": [[0.1, 2]]}`, or `{"X": {"type": "float32", "dims": [1, 2], "data": [0.1, 2]}}`. A ZipMap output is a list of `{label: probability}`. Outputs that are not expected are not looked at. No node has to run. It ends with 1 when something differs or the model is refused.',
  ],
  arguments: { model: required("file of the model", { file: true }) },
  options: {
    inputs: file("FILE", "JSON of the inputs"),
    expect: file("FILE", "JSON of the expected outputs"),
    tolerance: parsed("NUMBER", "How far numbers may be apart, absolutely and relatively; default 1e-5", readTolerance),
  },
  examples: [{ line: "tidemark models check fraud.onnx --inputs rows.json --expect scores.json", says: "Before it is registered" }],
  async run({ args: { model }, options: { inputs, expect, tolerance }, terminal }) {
    if (inputs === undefined || expect === undefined) throw usageError("Give --inputs and --expect.");
    const check = await checkModel(await bytes(model), await json(inputs), await json(expect), tolerance ?? 1e-5);
    if ("refused" in check) {
      const { code, message } = check.refused;
      if (terminal.json) await terminal.record({ equal: false, refused: { code, message } });
      else terminal.notice(printable(`${code}: ${message}`));
      return 1;
    }
    if (terminal.json) await terminal.record(check);
    else await new Table(terminal, OUTPUTS).write(check.outputs);
    return check.equal ? 0 : 1;
  },
});

function inForceText({ log, champion, challenger }: InForce): string {
  const beside = challenger === null ? "" : ` / ${challenger.version}:${challenger.share}`;
  return `${log}: ${champion ?? "none"}${beside}`;
}

function readChallenger(written: string): { readonly version: number; readonly share: number } {
  const parts = /^(?<version>[1-9]\d{0,9}):(?<share>0?\.\d{1,9}|[01](?:\.0+)?)$/.exec(written)?.groups;
  const share = Number(parts?.share);
  if (parts !== undefined && share > 0 && share <= 1) return { version: Number(parts.version), share };
  throw new TypeError(`write a version and a share above 0, at most 1, such as ${SHARE_EXAMPLE}`);
}

function readTolerance(written: string): number {
  const tolerance = Number(written);
  if (written !== "" && tolerance >= 0 && Number.isFinite(tolerance)) return tolerance;
  throw new TypeError("write a number from 0 on, such as 1e-5");
}

async function encoded(path: string): Promise<string> {
  const content = await bytes(path);
  if (content.length <= CONTENT_MAX_BYTES) return content.toString("base64");
  throw new TidemarkError(
    "INPUT_INVALID",
    `${path} has ${content.length} bytes, at most ${CONTENT_MAX_BYTES} are sent; let the app bring it, with shippedModel.`,
  );
}

async function bytes(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new TidemarkError("INPUT_INVALID", `${path} cannot be read: ${(error as Error).message}.`, { cause: error });
  }
}

async function json(path: string): Promise<unknown> {
  const read = (await bytes(path)).toString();
  try {
    return JSON.parse(read) as unknown;
  } catch (error) {
    throw new TidemarkError("INPUT_INVALID", `${path} is no JSON: ${(error as Error).message}.`, { cause: error });
  }
}
