/**
 * The rules that the sources keep, each a function from a parsed source to what violates it. `architecture.test.ts` runs them over
 * the repository, and each over a sample that violates it, so that no rule can quietly stop to see anything.
 */
import { builtinModules } from "node:module";
import { posix } from "node:path";
import { type Identifier, type Node, type StringLiteral, SyntaxKind } from "typescript/unstable/ast";
import { lineOf, linesOf, type ParsedSource, startOf, walk } from "./syntax.ts";

interface Violation {
  readonly path: string;
  readonly line: number;
  readonly what: string;
}

type Rule = (source: ParsedSource) => Violation[];

const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 70;

interface Layer {
  /** Folders whose files may be imported. */
  readonly folders: readonly string[];
  /** npm packages that may be imported; "any" outside the checked layers. */
  readonly packages: readonly string[] | "any";
  readonly builtins: boolean;
  /** Exceptions from `folders` and `packages`. */
  readonly never?: readonly string[];
}

/** Imports go down only. `actors/` is pure, `setup/` runs before anything is installed, and the door at the root is the model's. */
const LAYERS: Readonly<Record<string, Layer>> = {
  "index.ts": { folders: ["actors"], packages: ["typebox"], builtins: false },
  actors: { folders: ["actors"], packages: ["typebox", "temporal-polyfill"], builtins: false },
  inference: { folders: ["inference", "actors"], packages: "any", builtins: true, never: ["lmdb"] },
  runtime: { folders: ["runtime", "inference", "actors"], packages: "any", builtins: true, never: ["fastify"] },
  api: {
    folders: ["api", "runtime", "inference", "actors"],
    packages: "any",
    builtins: true,
    never: ["lmdb", "runtime/store", "runtime/shard"],
  },
  setup: { folders: ["setup"], packages: [], builtins: true },
  template: { folders: ["template"], packages: ["tidemark", "@nats-io/transport-node"], builtins: true },
  // Only what its pages show as files.
  docs: { folders: ["docs", "actors"], packages: ["typebox"], builtins: false },
  // The cluster of docker-compose.yml as processes.
  deploy: { folders: ["deploy", "runtime"], packages: "any", builtins: true },
  bench: { folders: ["bench", "test", "api", "runtime", "inference", "actors"], packages: "any", builtins: true },
  test: { folders: ["test", "deploy", "docs", "bench", "api", "runtime", "inference", "actors"], packages: "any", builtins: true },
};

export const importsGoDownOnly: Rule = (source) => {
  const layer = LAYERS[folderOf(source.path)];
  if (layer === undefined) return [{ path: source.path, line: 1, what: "lies in no layer that the architecture names" }];
  return importsOf(source).flatMap(({ specifier, node }) => {
    const reason = refusal(layer, source, specifier, node);
    return reason === undefined ? [] : [at(source, node, `imports ${specifier}: ${reason}`)];
  });
};

function refusal(layer: Layer, source: ParsedSource, specifier: string, node: Node): string | undefined {
  if (specifier.startsWith(".")) {
    const target = posix.join(posix.dirname(source.path), specifier);
    // The shape of what a neighbour passes on may be named: nothing of the far folder is loaded by that.
    const isTypeOnly = /^\s*import type\b/.test(source.text.slice(startOf(source, node), node.end));
    if (!isTypeOnly && layer.never?.some((folder) => target.startsWith(`${folder}/`)))
      return "this layer must not reach past its neighbour";
    return layer.folders.includes(folderOf(target)) ? undefined : "not a layer below";
  }
  if (specifier.startsWith("node:") || builtinModules.includes(specifier)) return layer.builtins ? undefined : "no built-in modules here";
  const name = packageOf(specifier);
  if (layer.never?.includes(name)) return "not in this layer";
  return layer.packages === "any" || layer.packages.includes(name) ? undefined : "not a package that this layer may use";
}

function packageOf(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}

/** What gives another answer the next time, or is not there in another engine. */
const IMPURE_GLOBALS = new Set(
  "performance process Buffer fetch crypto setTimeout setInterval setImmediate clearTimeout queueMicrotask require __dirname".split(" "),
);
const IMPURE_MEMBERS = new Set(["Date.now", "Math.random", "Temporal.Now"]);

/** `actors/` holds the pure fold: no clock, no randomness, no I/O; and in the fold no waiting. */
export const actorsArePure: Rule = (source) => {
  if (folderOf(source.path) !== "actors") return [];
  const found: Violation[] = [];
  walk(source.tree, (node, parent) => {
    const impure = impurityOf(source, node, parent);
    if (impure !== undefined) found.push(at(source, node, `uses ${impure} in actors/`));
  });
  return found;
};

function impurityOf(source: ParsedSource, node: Node, parent: Node): string | undefined {
  if (node.kind === SyntaxKind.PropertyAccessExpression) {
    const text = source.text.slice(node.pos, node.end).replace(/\s|\/\*[\s\S]*?\*\/|\/\/.*/g, "");
    return IMPURE_MEMBERS.has(text.replace(/^globalThis\./, "").replaceAll("?.", ".")) ? text : undefined;
  }
  if (node.kind === SyntaxKind.Identifier) {
    const { text } = node as Identifier;
    if (IMPURE_GLOBALS.has(text) && !isNameOnly(node, parent)) return text;
    if (text === "Date" && isArgumentless(node, parent)) return "the current date";
  }
  if (node.kind === SyntaxKind.AwaitExpression && source.path.startsWith("actors/fold/")) return "await";
  return undefined;
}

/** A member or a property that is called like a global is not the global. */
function isNameOnly(node: Node, parent: Node): boolean {
  const { name, expression } = parent as unknown as { name?: Node; expression?: Node };
  if (parent.kind === SyntaxKind.PropertyAccessExpression) return name === node && (expression as Identifier).text !== "globalThis";
  return name === node;
}

/** `new Date()` and `Date()`; `new Date(time)` only converts. */
function isArgumentless(node: Node, parent: Node): boolean {
  const call = parent as unknown as { expression?: Node; arguments?: { length: number } };
  if (call.expression !== node) return false;
  return parent.kind === SyntaxKind.CallExpression || (parent.kind === SyntaxKind.NewExpression && (call.arguments?.length ?? 0) === 0);
}

export const filesAreShort: Rule = (source) => {
  const lines = source.text.trimEnd().split("\n").length;
  return lines > FILE_LINES_MAX
    ? [{ path: source.path, line: lines, what: `has ${lines} lines: over ${FILE_LINES_MAX} it holds two ideas` }]
    : [];
};

const FUNCTIONS: ReadonlySet<SyntaxKind> = new Set([
  SyntaxKind.FunctionDeclaration,
  SyntaxKind.FunctionExpression,
  SyntaxKind.ArrowFunction,
  SyntaxKind.MethodDeclaration,
  SyntaxKind.Constructor,
  SyntaxKind.GetAccessor,
  SyntaxKind.SetAccessor,
]);

export const functionsAreShort: Rule = (source) => {
  const found: Violation[] = [];
  walk(source.tree, (node, parent) => {
    if (!FUNCTIONS.has(node.kind) || isSuite(parent) || isContract(source, parent)) return;
    const lines = linesOf(source, node);
    if (lines > FUNCTION_LINES_MAX)
      found.push(at(source, node, `a function of ${lines} lines: over ${FUNCTION_LINES_MAX} it holds two ideas`));
  });
  return found;
};

/** The callback of a suite only groups tests. */
function isSuite(parent: Node): boolean {
  const { expression } = parent as unknown as { expression?: Identifier };
  return parent.kind === SyntaxKind.CallExpression && (expression?.text === "suite" || expression?.text === "describe");
}

/** A contract is a suite that several implementations call. */
function isContract(source: ParsedSource, parent: Node): boolean {
  return source.path.endsWith(".contract.ts") && parent.kind === SyntaxKind.SourceFile;
}

export const nothingIsLeftToDo: Rule = (source) =>
  source.text
    .split("\n")
    .flatMap((line, index) =>
      /\b(?:TO(?:DO)|FIX(?:ME)|XX(?:X))\b/.test(line) ? [{ path: source.path, line: index + 1, what: "leaves something to do" }] : [],
    );

export const noEnums: Rule = (source) =>
  nodesOf(source, SyntaxKind.EnumDeclaration, "an enum; use an as-const object with a type of its name");

export const noAny: Rule = (source) => nodesOf(source, SyntaxKind.AnyKeyword, "`any`; use `unknown` and narrow it");

const KEBAB_PATH = /^(?:[a-z0-9]+(?:-[a-z0-9]+)*\/)*[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test|\.contract|\.d)?\.(?:ts|mjs)$/;

export const namesAreKebabCase: Rule = ({ path }) => (KEBAB_PATH.test(path) ? [] : [{ path, line: 1, what: "is not kebab-case" }]);

/** One public door at the package root; inside, a thing is imported from the file that owns it. */
export const noBarrels: Rule = (source) => {
  if (!source.path.includes("/")) return [];
  const imported = new Set<string>();
  const found: Violation[] = [];
  walk(source.tree, (node) => {
    const { name, propertyName, moduleSpecifier } = node as unknown as Partial<Record<string, Identifier>>;
    if (node.kind === SyntaxKind.ImportSpecifier || node.kind === SyntaxKind.NamespaceImport) imported.add(name?.text ?? "");
    const passedOn =
      (node.kind === SyntaxKind.ExportDeclaration && moduleSpecifier !== undefined) ||
      (node.kind === SyntaxKind.ExportSpecifier && imported.has((propertyName ?? name)?.text ?? ""));
    if (passedOn) found.push(at(source, node, "passes on what another file owns; import it from there"));
  });
  return found;
};

interface Import {
  readonly specifier: string;
  readonly node: Node;
}

function importsOf(source: ParsedSource): Import[] {
  const found: Import[] = [];
  walk(source.tree, (node) => {
    const {
      moduleSpecifier,
      expression,
      arguments: args,
      argument,
    } = node as unknown as Record<string, Node & { [index: number]: Node; literal?: Node }>;
    if (node.kind === SyntaxKind.ImportDeclaration || node.kind === SyntaxKind.ExportDeclaration) add(moduleSpecifier, node);
    if (node.kind === SyntaxKind.CallExpression && expression?.kind === SyntaxKind.ImportKeyword) add(args?.[0], node);
    if (node.kind === SyntaxKind.ImportType) add(argument?.literal, node);
  });
  return found;

  function add(literal: Node | undefined, node: Node): void {
    if (literal?.kind === SyntaxKind.StringLiteral) found.push({ specifier: (literal as StringLiteral).text, node });
  }
}

function nodesOf(source: ParsedSource, kind: SyntaxKind, what: string): Violation[] {
  const found: Violation[] = [];
  walk(source.tree, (node) => {
    if (node.kind === kind) found.push(at(source, node, what));
  });
  return found;
}

/** A file at the root stands for itself. */
function folderOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : path;
}

function at(source: ParsedSource, node: Node, what: string): Violation {
  return { path: source.path, line: lineOf(source, node), what };
}
