/** What is known of one case: only facts, in the order in which they were applied. What follows from them is asked elsewhere. */
import type { Clock } from "./clock.ts";

export interface Assignment {
  readonly assignmentId: string;
  readonly assigneeId: string;
  readonly teamId: string;
  readonly primary: boolean;
  readonly from: number;
  /** The end that the assignment itself named. */
  readonly plannedUntil: number | undefined;
  /** Where it was closed; nothing while it is open. */
  until: number | undefined;
}

/** Something that is, with the order of application to break ties. */
export interface Fact {
  readonly at: number;
  readonly nth: number;
}

export interface CaseFacts {
  readonly caseId: string;
  category: string | undefined;
  priority: string;
  riskCategory: string | undefined;
  status: string;
  isKnown: boolean;
  isClosed: boolean;
  /** When it was open, by effective time. */
  readonly open: { from: number; until: number }[];
  readonly clocks: Map<string, Clock>;
  readonly assignments: Assignment[];
  /** `time` of every event that was applied. */
  readonly activity: number[];
  readonly delays: Fact[];
  readonly rejections: Fact[];
  readonly escalations: Fact[];
}

export function noFacts(caseId: string): CaseFacts {
  return {
    caseId,
    category: undefined,
    priority: "",
    riskCategory: undefined,
    status: "",
    isKnown: false,
    isClosed: false,
    open: [],
    clocks: new Map(),
    assignments: [],
    activity: [],
    delays: [],
    rejections: [],
    escalations: [],
  };
}
