/** What the tests of the deployment read: the files as their tools read them. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { Ajv, type AnySchemaObject, type ValidateFunction } from "ajv";
import { parse, parseAllDocuments } from "yaml";
import { type ComposeFile, readCompose } from "../../deploy/compose.ts";
import { ROOT } from "../support/doc-page.ts";

export function read(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

export function readYaml<T>(path: string): T {
  return parse(read(path), { merge: true }) as T;
}

/** Runs deploy/secrets.sh for `folder`, and gives the variables that it made. */
export function makeSecrets(folder: string): Readonly<Record<string, string>> {
  execFileSync("sh", [join(ROOT, "deploy/secrets.sh"), folder]);
  return parseEnv(readFileSync(join(folder, ".env"), "utf8")) as Record<string, string>;
}

export interface ComposeDocument extends ComposeFile {
  readonly volumes: Readonly<Record<string, unknown>>;
}

export function composeFile(variables: Readonly<Record<string, string>>): ComposeDocument {
  return readCompose(read("docker-compose.yml"), variables) as ComposeDocument;
}

/** With the same for every password, and what the file itself says for the rest. */
export function plainComposeFile(): ComposeDocument {
  const passwords = [...read("docker-compose.yml").matchAll(/\{(\w+_PASSWORD):/g)].map(([, name]) => [name!, "secret"] as const);
  return composeFile(Object.fromEntries(passwords));
}

export interface Manifest {
  readonly file: string;
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly data?: Readonly<Record<string, string>>;
}

/** Every object of deploy/kubernetes, read as kubectl does: by the older YAML, in which 0440 is octal. */
export function manifests(): Manifest[] {
  return readdirSync(join(ROOT, "deploy/kubernetes")).flatMap((file) =>
    parseAllDocuments(read(`deploy/kubernetes/${file}`), { version: "1.1" }).map((document) => {
      if (document.errors.length > 0) throw new Error(`${file}: ${document.errors.join()}`);
      return { file, ...(document.toJS() as Omit<Manifest, "file">) };
    }),
  );
}

/** A schema of test/deploy/schemas, or one of its definitions. */
export function schemaCheck(file: string, definition?: string): ValidateFunction {
  const schema = JSON.parse(read(`test/deploy/schemas/${file}`)) as AnySchemaObject;
  const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
  return ajv.compile(definition === undefined ? schema : { ...schema, $ref: `#/$defs/${definition}` });
}
