/**
 * Watches the files that an app was loaded from. What counts is content: a file is changed when it is no longer what was
 * loaded, however the editor wrote it (in place, or a new file renamed over the old one).
 *
 * Folders are watched, not files: a watch on a file that is renamed away would follow it. An event only leads to a look.
 */
import { createHash } from "node:crypto";
import { existsSync, type FSWatcher, readFileSync, statSync, watch } from "node:fs";
import { dirname } from "node:path";
import type { AppModule } from "../app.ts";

/** An editor's several writes are one change: looked at when nothing came for so long, at the latest after the second bound. */
const QUIET_MS = 30;
const QUIET_MAX_MS = 300;

interface WatchedFolder {
  readonly watcher: FSWatcher;
  /** A folder that was deleted and made again is another one. */
  readonly inode: number;
}

export class SourceWatcher {
  readonly #folders = new Map<string, WatchedFolder>();
  #modules: readonly AppModule[] = [];
  #isChanged = false;
  #timer: NodeJS.Timeout | undefined;
  #firstEventAt: number | undefined;
  #wake: () => void = () => {};
  #closed = false;

  /** Watches these files instead of those before. One that is no longer as loaded is a change at once. */
  watch(modules: readonly AppModule[]): void {
    this.#modules = modules;
    this.#isChanged = false;
    this.#watchFolders();
    this.#look();
  }

  /** Takes the files as they are now for unchanged: somebody is about to load them. */
  rebase(): void {
    this.watch(this.#modules.map(({ file }) => ({ file, hash: hashOfFile(file) })));
  }

  /** Resolves when a watched file is no longer as loaded. */
  async changed(): Promise<void> {
    while (!this.#isChanged) {
      await new Promise<void>((resolve) => {
        const before = this.#wake;
        this.#wake = () => {
          before();
          resolve();
        };
      });
    }
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const { watcher } of this.#folders.values()) watcher.close();
    this.#folders.clear();
  }

  #watchFolders(): void {
    const wanted = new Set(this.#modules.map(({ file }) => nearestFolder(dirname(file))));
    for (const [folder, { watcher, inode }] of this.#folders) {
      if (wanted.has(folder) && inode === inodeOf(folder)) continue;
      watcher.close();
      this.#folders.delete(folder);
    }
    for (const folder of wanted) {
      if (this.#folders.has(folder) || this.#closed) continue;
      const watcher = watch(folder, () => this.#event());
      // The folder is gone: that is an event like another.
      watcher.on("error", () => this.#event());
      this.#folders.set(folder, { watcher, inode: inodeOf(folder) });
    }
  }

  #event(): void {
    if (this.#closed) return;
    const now = performance.now();
    this.#firstEventAt ??= now;
    clearTimeout(this.#timer);
    const wait = Math.max(0, Math.min(QUIET_MS, this.#firstEventAt + QUIET_MAX_MS - now));
    this.#timer = setTimeout(() => {
      this.#firstEventAt = undefined;
      this.#watchFolders();
      this.#look();
    }, wait);
  }

  #look(): void {
    if (this.#isChanged || this.#modules.every(({ file, hash }) => hashOfFile(file) === hash)) return;
    this.#isChanged = true;
    const wake = this.#wake;
    this.#wake = () => {};
    wake();
  }
}

/** SHA-256 in hex; the empty text for a file that is not there or cannot be read. */
export function hashOfFile(file: string): string {
  try {
    return createHash("sha256").update(readFileSync(file)).digest("hex");
  } catch {
    return "";
  }
}

function nearestFolder(folder: string): string {
  for (let at = folder; ; at = dirname(at)) if (existsSync(at) || dirname(at) === at) return at;
}

function inodeOf(folder: string): number {
  return statSync(folder, { throwIfNoEntry: false })?.ino ?? 0;
}
