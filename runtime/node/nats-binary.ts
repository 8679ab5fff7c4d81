/**
 * Which nats-server program to run: the one that set-up recorded, else one on PATH. Providing one is set-up's work, in a process of
 * its own: it is plain JavaScript that runs before anything is installed, and its progress goes to stderr as it comes.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { delimiter, join, sep } from "node:path";
import { text } from "node:stream/consumers";
import { TidemarkError } from "../errors.ts";
import { PACKAGE_ROOT } from "../own-package.ts";
import { isAtLeast, MIN_NATS_VERSION } from "./nats-config.ts";

export interface NatsBinary {
  readonly binary: string;
  readonly version: string;
}

/** Looks only. `NATS_UNREACHABLE` when there is none, `NATS_TOO_OLD` when the only one is older than 2.12. */
export function findNatsServer(): NatsBinary {
  const recorded = recordedBySetup();
  if (recorded !== undefined) return recorded;
  const binary = onPath();
  if (binary === undefined) {
    throw new TidemarkError("NATS_UNREACHABLE", "There is no nats-server: none from set-up and none on PATH. `npm start` provides one.");
  }
  const version = /v(\d+\.\d+\.\d+\S*)/.exec(execFileSync(binary, ["--version"], { encoding: "utf8" }))?.[1] ?? "unknown";
  if (!isAtLeast(version, MIN_NATS_VERSION)) throw new TidemarkError("NATS_TOO_OLD", `${binary} is ${version}.`);
  return { binary, version };
}

/**
 * The recorded one, the first on PATH that is new enough, or one that is fetched now where that can be done: a download of some
 * 15 MB. `NATS_UNREACHABLE` when there is none; set-up has then said on stderr why, and what to do.
 */
export async function provideNatsServer(): Promise<NatsBinary> {
  const recorded = recordedBySetup();
  if (recorded !== undefined) return recorded;
  const setup = spawn(process.execPath, [join(PACKAGE_ROOT, "setup", "nats-server-only.mjs"), cacheFolder()], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [said, [code]] = await Promise.all([text(setup.stdout), once(setup, "close") as Promise<[number | null]>]);
  if (code !== 0) throw new TidemarkError("NATS_UNREACHABLE", "There is no nats-server that could be started; set-up says why above.");
  const { path, version } = JSON.parse(said) as { readonly path: string; readonly version: string };
  return { binary: path, version };
}

function recordedBySetup(): NatsBinary | undefined {
  const record = join(cacheFolder(), "setup.json");
  if (!existsSync(record)) return undefined;
  const { natsServer, natsVersion } = JSON.parse(readFileSync(record, "utf8")) as { natsServer?: string; natsVersion?: string };
  if (natsServer === undefined || natsVersion === undefined || !existsSync(natsServer)) return undefined;
  return { binary: natsServer, version: natsVersion };
}

/** In the repository's `node_modules`, or in the one that the package was installed into: deleting that undoes set-up. */
function cacheFolder(): string {
  const inside = PACKAGE_ROOT.lastIndexOf(`${sep}node_modules${sep}`);
  return join(inside === -1 ? PACKAGE_ROOT : PACKAGE_ROOT.slice(0, inside), "node_modules", ".cache", "tidemark");
}

function onPath(): string | undefined {
  const name = process.platform === "win32" ? "nats-server.exe" : "nats-server";
  return (process.env.PATH ?? "")
    .split(delimiter)
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, name))
    .find((file) => existsSync(file));
}
