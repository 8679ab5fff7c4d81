/** The circuits of endpoints. A bounded number is kept: one that nobody used for long begins anew, closed. */
import { RecentMap } from "../cache/recent-map.ts";
import { CIRCUITS_MAX } from "./bounds.ts";
import { Circuit, type CircuitSettings } from "./circuit.ts";

export class Circuits {
  readonly #settings: Partial<CircuitSettings>;
  readonly #circuits = new RecentMap<Circuit>({ entriesMax: CIRCUITS_MAX });

  constructor(settings: Partial<CircuitSettings> = {}) {
    this.#settings = settings;
  }

  of(endpoint: string): Circuit {
    let circuit = this.#circuits.get(endpoint);
    if (circuit === undefined) {
      circuit = new Circuit(this.#settings);
      this.#circuits.set(endpoint, circuit);
    }
    return circuit;
  }
}
