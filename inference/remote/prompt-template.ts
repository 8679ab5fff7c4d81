/**
 * Prompts: fixed text with places for fields of the input, `{{/pointer}}`. What is put in is always written as JSON, a
 * text in quotes with its line ends escaped: so the words of a customer stay visibly a value, and cannot pass for lines
 * of the prompt. What was put in is not looked at for further places.
 */
import { jsonText } from "../../actors/fold/json-text.ts";
import { PROMPT_MAX_CHARS } from "./bounds.ts";
import { readPointer, valueAt } from "./json-pointer.ts";

/** The prompt, or what is wrong with the input. */
export type Prompt = (input: unknown) => { readonly text: string } | { readonly refused: string };

const PLACE = /\{\{(.*?)\}\}/g;

/** What makes prompts of a template, or the reason why it is none. */
export function readTemplate(template: string): Prompt | string {
  const parts: (string | { readonly pointer: string; readonly names: readonly string[] })[] = [];
  let from = 0;
  for (const match of template.matchAll(PLACE)) {
    const pointer = match[1]!.trim();
    const names = readPointer(pointer);
    if (names === undefined)
      return `has the place "{{${pointer.slice(0, 80)}}}", which is no JSON pointer: write {{/field}}, or {{}} for the whole input`;
    parts.push(template.slice(from, match.index), { pointer, names });
    from = match.index + match[0].length;
  }
  parts.push(template.slice(from));
  return (input) => {
    let text = "";
    for (const part of parts) {
      if (typeof part === "string") text += part;
      else {
        const value = valueAt(input, part.names);
        if (value === undefined) return { refused: `has no ${part.pointer}, which the prompt needs` };
        text += jsonText(value);
      }
      if (text.length > PROMPT_MAX_CHARS) return { refused: `makes a prompt of more than ${PROMPT_MAX_CHARS} characters` };
    }
    return { text };
  };
}
