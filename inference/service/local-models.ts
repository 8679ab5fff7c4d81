/** Which versions run native code of the process that answers for them: themselves, or what stands in for them. */
import { RecentMap } from "../cache/recent-map.ts";
import type { ModelRecord } from "../model-record.ts";
import { PLACES_KNOWN_MAX } from "./bounds.ts";
import type { ModelSource } from "./model-source.ts";

interface Version {
  readonly model: string;
  readonly version: number;
}

export class LocalModels {
  readonly #source: ModelSource;
  /** A version never changes. */
  readonly #known = new RecentMap<boolean>({ entriesMax: PLACES_KNOWN_MAX });

  constructor(source: ModelSource) {
    this.#source = source;
  }

  /** True also when it cannot be found out: it is safer so. */
  async has({ model, version }: Version): Promise<boolean> {
    const key = `${version} ${model}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    try {
      const found = await this.#source.find(model, version);
      // It may be put at any moment.
      if (found === undefined) return true;
      const local = await this.#isLocal(found.record);
      this.#known.set(key, local);
      return local;
    } catch {
      return true;
    }
  }

  /** What a version names was put before it, so this ends. */
  async #isLocal({ serving, settings }: ModelRecord): Promise<boolean> {
    if (serving.kind === "onnx") return true;
    for (const other of [settings?.fallback, settings?.semantic?.embedding])
      if (other !== undefined && (await this.has(other))) return true;
    return false;
  }
}
