/** A state of the past in the hands of one question: folded on, and looked at for one key. */
import type { ActorReport } from "../node/actor-report.ts";
import type { HistoricStand, RecordFact } from "./historic-states.ts";
import type { HistoricTarget } from "./historic-target.ts";
import type { KeyItem } from "./key-item.ts";
import type { StatesAround } from "./key-look.ts";

export interface PastFold {
  readonly stand: HistoricStand;
  /** Folds on to the target, or until so many items of the key have come. */
  foldTo(target: HistoricTarget, itemsMax?: number): Promise<readonly KeyItem[]>;
  look(token: string): Promise<void>;
  showStates(k?: number): Promise<void>;
  around(): Promise<StatesAround | undefined>;
  /** As of here; `undefined` when the key has no such actor. */
  actor(type: string, token: string): Promise<ActorReport | undefined>;
  records(names: readonly string[]): Promise<readonly RecordFact[]>;
}
