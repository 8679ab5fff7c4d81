/**
 * What the job keeps of a message: its text without the personal values that are found in it by their form, fit for a
 * prompt. It is masked before anything is kept, so that the event itself is the only place where it stands unmasked. What has
 * no form, such as a name, is still in it: so it stays classified.
 */
import { Type } from "typebox";
import { classified } from "../model/privacy/classification.ts";
import { promptText } from "../model/privacy/prompt-text.ts";

/** As JSON writes it, quotes and all: so that a context of the longest texts fits into one output. */
export const TEXT_MAX_CHARS = 8_192;
/** Of a masked text, in which JSON escapes a character by one more at the most: there are no control characters left. */
const CUT_CHARS = (TEXT_MAX_CHARS - 2) / 2;

export const SaidText = classified("pii", Type.String());
/** Whatever a system calls a speaker, which may be a name. */
export const SaidRole = classified("pii", Type.String());

export const Said = Type.Object({ role: SaidRole, text: SaidText });
export const Kept = Type.Object({ at: Type.Integer(), role: SaidRole, text: SaidText });

/** A short value may be masked by a longer word: what is too long by that is cut, and says so. */
export function masked({ role, text }: { readonly role: string; readonly text: string }): { readonly role: string; readonly text: string } {
  const whole = promptText(text, { max: TEXT_MAX_CHARS });
  return {
    role: promptText(role),
    text: JSON.stringify(whole).length <= TEXT_MAX_CHARS ? whole : promptText(whole, { max: CUT_CHARS }),
  };
}
