/**
 * Syntax trees of sources held in memory, by the compiler that checks the project. The compiler's programming interface is called
 * unstable by its makers and its version is pinned in the lockfile: only this file and `architecture.ts` know it.
 */
import type { Node, SourceFile } from "typescript/unstable/ast";
import { createVirtualFileSystem } from "typescript/unstable/fs";
import { API } from "typescript/unstable/sync";

export interface Source {
  /** Relative to the repository, with `/`. */
  readonly path: string;
  readonly text: string;
}

export type ParsedSource<S extends Source = Source> = S & { readonly tree: SourceFile };

const ROOT = "/sources";
const PROJECT = `${ROOT}/tsconfig.json`;

export function parseSources<S extends Source>(sources: readonly S[]): ParsedSource<S>[] {
  const options = { compilerOptions: { noLib: true, noResolve: true, types: [], allowJs: true }, include: ["**/*"] };
  const files: Record<string, string> = { [PROJECT]: JSON.stringify(options) };
  // A folder for each, so that samples may share a path.
  const fileOf = (source: Source, index: number) => `${ROOT}/${index}/${source.path}`;
  sources.forEach((source, index) => {
    files[fileOf(source, index)] = source.text;
  });
  const compiler = new API({ cwd: ROOT, fs: createVirtualFileSystem(files) });
  try {
    using snapshot = compiler.updateSnapshot({ openProjects: [PROJECT] });
    const project = snapshot.getProject(PROJECT);
    return sources.map((source, index) => {
      const tree = project?.program.getSourceFile(fileOf(source, index));
      if (tree === undefined) throw new Error(`The compiler did not parse ${source.path}.`);
      return { ...source, tree };
    });
  } finally {
    compiler.close();
  }
}

/** Calls `visit` with every node below `node` and its parent, outer before inner. */
export function walk(node: Node, visit: (node: Node, parent: Node) => void): void {
  node.forEachChild((child) => {
    visit(child, node);
    walk(child, visit);
    return undefined;
  });
}

/** Line of a node's first token, from 1. */
export function lineOf(source: ParsedSource, node: Node): number {
  return source.text.slice(0, startOf(source, node)).split("\n").length;
}

/** Lines from a node's first token to its last. */
export function linesOf(source: ParsedSource, node: Node): number {
  return source.text.slice(0, node.end).split("\n").length - lineOf(source, node) + 1;
}

/** Where a node's first token begins: the node itself begins where the one before it ended, with the space and comments between. */
export function startOf(source: ParsedSource, node: Node): number {
  return node.pos + (/^(?:\s|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*/.exec(source.text.slice(node.pos))?.[0].length ?? 0);
}
