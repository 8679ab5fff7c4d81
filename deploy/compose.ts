/** What docker-compose.yml says, with its variables put in as Compose does it: the part of it that says what runs. Pure. */
import { parse } from "yaml";

export interface ComposeFile {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly secrets: Readonly<Record<string, { readonly file: string }>>;
}

export interface ComposeService {
  readonly image: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** `source:target[:mode]`; a source that begins with `.` is of the repository, another one is a named volume. */
  readonly volumes?: readonly string[];
  /** Each is a file below /run/secrets. */
  readonly secrets?: readonly string[];
  readonly depends_on?: Readonly<Record<string, unknown>>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly stop_grace_period?: string;
}

/** Throws for a variable that has to be set and is not, with what the file says about it. */
export function readCompose(text: string, variables: Readonly<Record<string, string | undefined>>): ComposeFile {
  return withVariables(parse(text, { merge: true }), variables) as ComposeFile;
}

/** `${NAME}`, `${NAME:-default}`, `${NAME:?what to do}`, and `$$` for a dollar. */
function withVariables(value: unknown, variables: Readonly<Record<string, string | undefined>>): unknown {
  if (Array.isArray(value)) return value.map((item) => withVariables(item, variables));
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withVariables(item, variables)]));
  if (typeof value !== "string") return value;
  return value.replace(
    /\$(?:\$|\{(\w+)(?::([-?])([^}]*))?\})/g,
    (whole, name: string | undefined, kind: string | undefined, more: string) => {
      if (name === undefined) return "$";
      const set = variables[name];
      if (set !== undefined && set !== "") return set;
      if (kind === "-") return more;
      throw new Error(`docker-compose.yml: ${whole} is not set${kind === "?" ? `: ${more}` : ""}`);
    },
  );
}
