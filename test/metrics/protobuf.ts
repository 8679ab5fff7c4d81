/** Protocol Buffers as they travel, without a schema: fields by number. Enough to read what a test knows the layout of. */
export type Message = ReadonlyMap<number, readonly Field[]>;
export type Field = Uint8Array | bigint;

export function readMessage(bytes: Uint8Array): Message {
  const fields = new Map<number, Field[]>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = view.getUint8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const take = (length: number): Uint8Array => {
    const start = at;
    at += length;
    if (at > bytes.length) throw new RangeError("the message ends too early");
    return bytes.subarray(start, at);
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const number = tag >> 3;
    const wire = tag & 7;
    let field: Field;
    if (wire === 0) field = varint();
    else if (wire === 1) field = take(8);
    else if (wire === 2) field = take(Number(varint()));
    else if (wire === 5) field = take(4);
    else throw new TypeError(`wire type ${wire}`);
    fields.set(number, [...(fields.get(number) ?? []), field]);
  }
  return fields;
}

export function messagesOf(message: Message, number: number): Message[] {
  return (message.get(number) ?? []).map((field) => readMessage(field as Uint8Array));
}

export function textOf(message: Message, number: number): string {
  return Buffer.from((message.get(number)?.[0] ?? new Uint8Array(0)) as Uint8Array).toString();
}

export function doubleOf(message: Message, number: number): number {
  const bytes = message.get(number)?.[0] as Uint8Array;
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0, true);
}
