/**
 * The four processes, as one table: what a case does in each status, where it goes from there and how long it stays.
 * The generator walks it; the lifecycle reference data says the same.
 */

export type Category = "enforcement" | "traffic-fine" | "permit" | "it-incident";

/**
 * What officers do in a status: `assign` somebody, `investigate`, ask for `evidence`, `propose` and approve (`decide`) a
 * decision, hear an `appeal`.
 */
export type Act = "assign" | "investigate" | "evidence" | "propose" | "decide" | "appeal";

export interface Move {
  /** How often the case goes there, among the moves of its status. */
  readonly share: number;
  /** How long it stays before, from and until, in hours. */
  readonly hours: readonly [number, number];
}

export interface Stay {
  readonly moves: Readonly<Record<string, Move>>;
  readonly acts?: readonly Act[];
}

export interface ClockPlan {
  readonly slaId: string;
  readonly policyId: string;
  readonly startsIn: string;
  readonly pausesIn: readonly string[];
  readonly completesIn: readonly string[];
}

export interface Process {
  /** Case ids begin with it. */
  readonly prefix: string;
  /** How many of all cases. */
  readonly share: number;
  readonly initial: string;
  /** The first is what `CaseClosed` gives. */
  readonly terminal: readonly string[];
  readonly stays: Readonly<Record<string, Stay>>;
  readonly clocks: readonly ClockPlan[];
  /** Work is done on weekdays by day alone. */
  readonly officeHours: boolean;
  /** How long a silence is, from and until, in hours. */
  readonly silenceHours: readonly [number, number];
  readonly jurisdictions: readonly string[];
  readonly riskCategories: readonly string[];
}

/** As the reference table `lifecycle` has it. */
export interface Lifecycle {
  readonly statuses: readonly string[];
  readonly transitions: Readonly<Record<string, readonly string[]>>;
  readonly initial: string;
  readonly terminal: readonly string[];
}

const DAY = 24;

export const PROCESSES: Readonly<Record<Category, Process>> = {
  enforcement: {
    prefix: "enf",
    share: 0.36,
    initial: "open",
    terminal: ["closed"],
    stays: {
      open: { moves: { assigned: { share: 19, hours: [4, 5 * DAY] }, closed: { share: 1, hours: [DAY, 9 * DAY] } } },
      assigned: {
        moves: { investigating: { share: 24, hours: [DAY, 9 * DAY] }, closed: { share: 1, hours: [2 * DAY, 12 * DAY] } },
        acts: ["assign"],
      },
      investigating: {
        moves: {
          "evidence-pending": { share: 4, hours: [2 * DAY, 10 * DAY] },
          "decision-proposed": { share: 6, hours: [5 * DAY, 18 * DAY] },
        },
        acts: ["investigate"],
      },
      "evidence-pending": { moves: { investigating: { share: 1, hours: [3 * DAY, 15 * DAY] } }, acts: ["evidence"] },
      "decision-proposed": {
        moves: { decided: { share: 8, hours: [2 * DAY, 10 * DAY] }, investigating: { share: 2, hours: [DAY, 6 * DAY] } },
        acts: ["propose"],
      },
      decided: {
        moves: { closed: { share: 8, hours: [7 * DAY, 30 * DAY] }, appealed: { share: 2, hours: [5 * DAY, 30 * DAY] } },
        acts: ["decide"],
      },
      appealed: {
        moves: { decided: { share: 2, hours: [10 * DAY, 30 * DAY] }, closed: { share: 1, hours: [15 * DAY, 40 * DAY] } },
        acts: ["appeal", "assign"],
      },
      closed: { moves: {} },
    },
    clocks: [
      {
        slaId: "decision",
        policyId: "enforcement-decision",
        startsIn: "open",
        pausesIn: ["evidence-pending"],
        completesIn: ["decided", "closed"],
      },
      { slaId: "response", policyId: "enforcement-response", startsIn: "assigned", pausesIn: [], completesIn: ["investigating"] },
    ],
    officeHours: true,
    silenceHours: [45 * DAY, 80 * DAY],
    jurisdictions: ["it-lombardy", "it-veneto", "gb-london"],
    riskCategories: ["fraud", "environment", "safety", "ordinary"],
  },
  "traffic-fine": {
    prefix: "fine",
    share: 0.24,
    initial: "created",
    terminal: ["closed", "paid", "sent-to-credit-collection"],
    stays: {
      created: {
        moves: {
          notified: { share: 16, hours: [4 * DAY, 20 * DAY] },
          paid: { share: 3, hours: [2 * DAY, 12 * DAY] },
          closed: { share: 1, hours: [DAY, 9 * DAY] },
        },
      },
      notified: {
        moves: {
          paid: { share: 9, hours: [3 * DAY, 58 * DAY] },
          "penalty-added": { share: 6, hours: [61 * DAY, 66 * DAY] },
          appealed: { share: 5, hours: [8 * DAY, 55 * DAY] },
        },
        acts: ["assign"],
      },
      "penalty-added": {
        moves: { paid: { share: 5, hours: [3 * DAY, 40 * DAY] }, "sent-to-credit-collection": { share: 5, hours: [30 * DAY, 60 * DAY] } },
      },
      appealed: {
        moves: { notified: { share: 3, hours: [15 * DAY, 50 * DAY] }, closed: { share: 2, hours: [15 * DAY, 50 * DAY] } },
        acts: ["appeal", "assign", "evidence"],
      },
      paid: { moves: {} },
      "sent-to-credit-collection": { moves: {} },
      closed: { moves: {} },
    },
    clocks: [
      { slaId: "payment", policyId: "fine-payment", startsIn: "notified", pausesIn: ["appealed"], completesIn: ["paid"] },
      { slaId: "appeal", policyId: "fine-appeal", startsIn: "appealed", pausesIn: [], completesIn: ["notified", "closed"] },
    ],
    officeHours: true,
    silenceHours: [45 * DAY, 70 * DAY],
    jurisdictions: ["it-lombardy", "it-veneto"],
    riskCategories: ["ordinary", "ordinary", "safety"],
  },
  permit: {
    prefix: "permit",
    share: 0.2,
    initial: "received",
    terminal: ["closed", "withdrawn"],
    stays: {
      received: {
        moves: {
          "under-review": { share: 11, hours: [DAY, 12 * DAY] },
          incomplete: { share: 8, hours: [DAY, 10 * DAY] },
          withdrawn: { share: 1, hours: [DAY, 8 * DAY] },
        },
        acts: ["assign"],
      },
      incomplete: {
        moves: { "under-review": { share: 9, hours: [4 * DAY, 28 * DAY] }, withdrawn: { share: 1, hours: [7 * DAY, 28 * DAY] } },
        acts: ["evidence"],
      },
      "under-review": {
        moves: {
          advised: { share: 7, hours: [5 * DAY, 21 * DAY] },
          incomplete: { share: 2, hours: [2 * DAY, 10 * DAY] },
          withdrawn: { share: 1, hours: [2 * DAY, 20 * DAY] },
        },
        acts: ["assign", "investigate"],
      },
      advised: {
        moves: { decided: { share: 8, hours: [2 * DAY, 12 * DAY] }, "under-review": { share: 2, hours: [DAY, 5 * DAY] } },
        acts: ["propose"],
      },
      decided: {
        moves: { closed: { share: 8, hours: [10 * DAY, 35 * DAY] }, "under-review": { share: 2, hours: [10 * DAY, 40 * DAY] } },
        acts: ["decide", "appeal"],
      },
      withdrawn: { moves: {} },
      closed: { moves: {} },
    },
    clocks: [
      {
        slaId: "check",
        policyId: "permit-check",
        startsIn: "received",
        pausesIn: [],
        completesIn: ["under-review", "incomplete", "withdrawn"],
      },
      {
        slaId: "decision",
        policyId: "permit-decision",
        startsIn: "received",
        pausesIn: ["incomplete"],
        completesIn: ["decided", "withdrawn"],
      },
    ],
    officeHours: true,
    silenceHours: [40 * DAY, 70 * DAY],
    jurisdictions: ["nl-north"],
    riskCategories: ["environment", "safety", "ordinary", "ordinary"],
  },
  "it-incident": {
    prefix: "inc",
    share: 0.2,
    initial: "new",
    terminal: ["closed"],
    stays: {
      new: { moves: { accepted: { share: 1, hours: [0.1, 4] } } },
      accepted: { moves: { "in-progress": { share: 1, hours: [0.2, 9] } }, acts: ["assign"] },
      "in-progress": {
        moves: {
          resolved: { share: 5, hours: [1, 48] },
          "waiting-user": { share: 4, hours: [1, 20] },
          accepted: { share: 1, hours: [1, 12] },
        },
        acts: ["investigate"],
      },
      "waiting-user": {
        moves: { "in-progress": { share: 3, hours: [2, 5 * DAY] }, resolved: { share: 1, hours: [3 * DAY, 7 * DAY] } },
        acts: ["evidence"],
      },
      resolved: { moves: { closed: { share: 9, hours: [DAY, 5 * DAY] }, "in-progress": { share: 1, hours: [2, 2 * DAY] } } },
      closed: { moves: {} },
    },
    clocks: [
      { slaId: "response", policyId: "incident-response", startsIn: "new", pausesIn: [], completesIn: ["accepted"] },
      {
        slaId: "resolution",
        policyId: "incident-resolution",
        startsIn: "new",
        pausesIn: ["waiting-user"],
        completesIn: ["resolved", "closed"],
      },
    ],
    officeHours: false,
    silenceHours: [10 * DAY, 35 * DAY],
    jurisdictions: ["gb-london", "nl-north"],
    riskCategories: ["ordinary", "ordinary", "fraud", "safety"],
  },
};

export const CATEGORIES = Object.keys(PROCESSES) as readonly Category[];

/** What the reference table `lifecycle` says of a process. */
export function lifecycleOf(category: Category): Lifecycle {
  const { stays, initial, terminal } = PROCESSES[category];
  const transitions = Object.fromEntries(Object.entries(stays).map(([status, { moves }]) => [status, Object.keys(moves)]));
  return { statuses: Object.keys(stays), transitions, initial, terminal };
}
