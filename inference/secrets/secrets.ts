/**
 * Secrets by name: from a directory with one file for each, as Kubernetes mounts them, or from environment variables. A
 * file wins over a variable, for it can be changed while the process runs: it is looked at when its secret is used, at
 * most once a second. No message has a value in it.
 */
import { join } from "node:path";
import { RecentMap } from "../cache/recent-map.ts";
import { LOOK_EVERY_MS, SECRETS_MAX } from "./bounds.ts";
import { SECRET_NAME, Secret } from "./secret.ts";
import { readSecretFile } from "./secret-file.ts";

export interface SecretSource {
  /** The secret, or the reason why there is none. */
  get(name: string): Promise<Secret | string>;
}

export interface SecretOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** One file for each secret, named as it is; no files when absent. */
  readonly directory?: string;
  /** Milliseconds by the machine's clock. */
  readonly now: () => number;
}

interface Known {
  readonly lookedAt: number;
  /** Which content of the file it is; "" for one that must be read again. */
  readonly mark: string;
  readonly secret: Secret | string;
}

const VARIABLE_PREFIX = "TIDEMARK_SECRET_";
/** What a header may have in it; above all no line ends. */
const HEADER_SAFE = /^[\x20-\x7e]+$/;

export class Secrets implements SecretSource {
  readonly #options: SecretOptions;
  readonly #known = new RecentMap<Known>({ entriesMax: SECRETS_MAX });
  /** At most one look at a file at a time. */
  readonly #looking = new Map<string, Promise<Secret | string>>();

  constructor(options: SecretOptions) {
    this.#options = options;
  }

  async get(name: string): Promise<Secret | string> {
    if (!SECRET_NAME.test(name)) return "The name of a secret has small letters, digits and hyphens, and begins with a letter.";
    const known = this.#known.get(name);
    const age = this.#options.now() - (known?.lookedAt ?? 0);
    if (known !== undefined && age >= 0 && age < LOOK_EVERY_MS) return known.secret;
    let looking = this.#looking.get(name);
    if (looking === undefined) {
      looking = this.#look(name, known).finally(() => this.#looking.delete(name));
      this.#looking.set(name, looking);
    }
    return looking;
  }

  async #look(name: string, known: Known | undefined): Promise<Secret | string> {
    const lookedAt = this.#options.now();
    const { secret, mark } = await this.#read(name, known, lookedAt);
    this.#known.set(name, { lookedAt, mark, secret });
    return secret;
  }

  async #read(name: string, known: Known | undefined, now: number): Promise<Pick<Known, "secret" | "mark">> {
    const { directory } = this.#options;
    if (directory === undefined) return { secret: this.#fromEnvironment(name), mark: "" };
    const file = await readSecretFile(join(directory, name), known?.mark ?? "", now);
    switch (file.kind) {
      case "absent":
        return { secret: this.#fromEnvironment(name), mark: "" };
      case "unreadable":
        return { secret: `The file of the secret "${name}" cannot be read: ${file.reason}.`, mark: "" };
      case "same":
        return known!;
      case "read":
        // Cut to nothing, it is being written at this moment: what was there still holds.
        if (file.text === "" && known?.secret instanceof Secret) return { secret: known.secret, mark: "" };
        return { secret: secretOf(file.text, `The file of the secret "${name}"`), mark: file.mark };
    }
  }

  #fromEnvironment(name: string): Secret | string {
    const variable = VARIABLE_PREFIX + name.toUpperCase().replaceAll("-", "_");
    const { environment, directory } = this.#options;
    const value = environment[variable];
    if (value !== undefined) return secretOf(value, `The variable ${variable}`);
    const orFile = directory === undefined ? "" : `, or the file "${name}" in the directory of secrets`;
    return `There is no secret "${name}": set the variable ${variable}${orFile}.`;
  }
}

function secretOf(text: string, what: string): Secret | string {
  if (text === "") return `${what} is empty.`;
  return HEADER_SAFE.test(text) ? new Secret(text) : `${what} has characters that no header may have.`;
}
