/** Which nats-server program to run: the one that set-up recorded, else one on PATH. Looks only; providing one is set-up's work. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { TidemarkError } from "../errors.ts";
import { isAtLeast, MIN_NATS_VERSION } from "./nats-config.ts";

export interface NatsBinary {
  readonly binary: string;
  readonly version: string;
}

/** `NATS_UNREACHABLE` when there is none, `NATS_TOO_OLD` when the only one is older than 2.12. */
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

/** Set-up writes its record into the nearest `node_modules`; an installed package has none. */
function recordedBySetup(): NatsBinary | undefined {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const record = join(folder, "node_modules", ".cache", "tidemark", "setup.json");
    if (existsSync(record)) {
      const { natsServer, natsVersion } = JSON.parse(readFileSync(record, "utf8")) as { natsServer?: string; natsVersion?: string };
      if (natsServer === undefined || natsVersion === undefined || !existsSync(natsServer)) return undefined;
      return { binary: natsServer, version: natsVersion };
    }
    if (dirname(folder) === folder) return undefined;
  }
}

function onPath(): string | undefined {
  const name = process.platform === "win32" ? "nats-server.exe" : "nats-server";
  return (process.env.PATH ?? "")
    .split(delimiter)
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, name))
    .find((file) => existsSync(file));
}
