/** Standbys as others see them that look after their state. */

/** A standby with state. Plain record. */
export interface Standby {
  readonly job: string;
  readonly shard: number;
  /** Tells the state that it has now from those that it had before. */
  readonly life: string;
}

export interface Standbys {
  /** Those of this node that run or have halted; one whose state is being built is missing. */
  standbys(): Promise<readonly Standby[]>;
  /**
   * Throws its state away and builds it anew from a snapshot, in the background. False where that is not done: it has another
   * state by now, or is no standby any more. An owner is never touched.
   */
  rebuild(standby: Standby, why: string): Promise<boolean>;
}
