/** A conversation under test, its messages told in seconds: tests read as what was said. */
import conversations from "../../actors/conversations/conversations.ts";
import { conversationTable } from "../../actors/conversations/settings.ts";
import { formatInstant } from "../../actors/model/time.ts";
import { type JobTest, testJob } from "../../runtime/testing/testing.ts";

export const T0 = Date.UTC(2026, 2, 2, 9);
export const SECOND = 1_000;
const DAY = 86_400_000;

/** `seconds` behind the beginning. */
export const at = (seconds: number): string => formatInstant(T0 + seconds * SECOND);

export interface Context {
  readonly time: number;
  readonly causeId: string | undefined;
  readonly data: {
    readonly conversationId: string;
    readonly reason: string;
    readonly revises?: string;
    readonly messages: readonly { readonly role: string; readonly text: string; readonly at: string }[];
  };
}

interface Settings {
  readonly messages?: number;
  readonly within?: string;
  readonly late?: "next" | "reopen" | "reject";
}

export class Chat {
  readonly kit: JobTest<typeof conversations>;

  private constructor(kit: JobTest<typeof conversations>) {
    this.kit = kit;
  }

  static async open(settings?: Settings, options: Parameters<typeof testJob>[1] = {}) {
    const chat = new Chat(await testJob(conversations, { start: T0 + 300 * DAY, ...options }));
    if (settings !== undefined) await chat.set("default", settings);
    return chat;
  }

  async set(id: string, data: Settings, version = 1, from = "2026-01-01T00:00:00Z") {
    await this.kit.putReference(conversationTable, id, { version, effectiveFrom: from, data });
  }

  /** The text is the id of the event, too. */
  async say(
    seconds: number,
    text = `m${seconds}`,
    said: { readonly key?: string; readonly role?: string; readonly conversationId?: string } = {},
  ): Promise<void> {
    const { key = "c1", role = "user", conversationId = key } = said;
    await this.kit.send("message", key, { conversationId, role, text }, { id: text.slice(0, 64), time: T0 + seconds * SECOND });
  }

  /** The watermark has passed. */
  async passed(seconds: number): Promise<void> {
    await this.kit.advanceWatermark(T0 + seconds * SECOND + 1);
  }

  /** Contexts told since. */
  contexts(): Context[] {
    return this.kit.takeOutputs("contextReady") as unknown as Context[];
  }

  /** All of them, each as its reason, the second of its time and its texts, once the watermark has passed everything. */
  async told(): Promise<string[]> {
    await this.passed((290 * DAY) / SECOND);
    return named(this.contexts());
  }
}

export function named(contexts: readonly Context[]): string[] {
  return contexts.map(({ time, data }) => `${data.reason} ${(time - T0) / SECOND}: ${data.messages.map(({ text }) => text).join(" ")}`);
}
