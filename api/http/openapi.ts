/** The OpenAPI 3.1 document, made of the route table: what is served is described, and what is described is served. */
import type { TObject, TSchema } from "typebox";
import { TIDEMARK_VERSION } from "../../runtime/own-package.ts";
import { PROBLEM_MEDIA_TYPE, Problem } from "./problem.ts";
import type { Route } from "./route.ts";

export interface Operation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description: string;
  /** The least role that may call it, or `public`. */
  readonly "x-role": Route["role"];
  /** The answer may take long, or never end. */
  readonly "x-long"?: true;
  /** Absent: as the document says. Empty: none. */
  readonly security?: readonly never[];
  readonly parameters: readonly Parameter[];
  readonly requestBody?: { readonly required: boolean; readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Content }>>;
}

interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required: boolean;
  readonly description?: string;
  readonly schema: object;
}

type Content = Readonly<Record<string, { readonly schema: object }>>;

export interface OpenApiDocument {
  readonly openapi: "3.1.0";
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly [member: string]: unknown;
}

const DESCRIPTION = `The HTTP API of a Tidemark node; any node answers for any shard that it owns.
Without tokens a node listens on loopback only and asks for none. With tokens, send one as \`Authorization: Bearer <token>\`.
Every answer that is no success is a problem document (RFC 9457) with a stable \`code\`.`;

/** Throws when two routes are one operation: a mistake of the table. */
export function openApiDocument(routes: readonly Route[]): OpenApiDocument {
  const paths: Record<string, Record<string, Operation>> = {};
  for (const route of routes) {
    const methods = paths[route.path] ?? {};
    paths[route.path] = methods;
    const method = route.method.toLowerCase();
    if (methods[method] !== undefined) throw new Error(`${route.method} ${route.path} is in the route table twice`);
    methods[method] = operationOf(route);
  }
  return {
    openapi: "3.1.0",
    jsonSchemaDialect: "https://json-schema.org/draft/2020-12/schema",
    info: {
      title: "Tidemark",
      version: TIDEMARK_VERSION,
      description: DESCRIPTION,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    security: [{ bearer: [] }],
    paths,
    components: {
      schemas: { Problem },
      securitySchemes: { bearer: { type: "http", scheme: "bearer", description: "A token of the node's token file." } },
    },
  };
}

function operationOf(route: Route): Operation {
  return {
    operationId: operationId(route),
    tags: [/^\/v1\/(\w[\w-]*)/.exec(route.path)?.[1] ?? "node"],
    summary: route.summary,
    description: route.role === "public" ? "Needs no token." : `Needs the role ${route.role}.`,
    "x-role": route.role,
    ...(route.long === true ? { "x-long": true } : {}),
    ...(route.role === "public" ? { security: [] } : {}),
    parameters: [
      ...parametersOf(route.params, "path"),
      ...parametersOf(route.query, "query"),
      ...(route.command === true ? [IDEMPOTENCY_KEY] : []),
    ],
    ...(route.body === undefined ? {} : { requestBody: { required: route.bodyOptional !== true, content: bodyContent(route.body) } }),
    responses: responsesOf(route),
  };
}

const IDEMPOTENCY_KEY: Parameter = {
  name: "Idempotency-Key",
  in: "header",
  required: false,
  description: "The same command sent again under its key is carried out once and gets the same answer.",
  schema: { type: "string", pattern: "^[!-~]{1,255}$" },
};

function operationId({ method, path }: Route): string {
  const words = path.replace(/^\/v1\//, "/").match(/\w+/g) ?? [];
  return method.toLowerCase() + words.map((word) => word[0]!.toUpperCase() + word.slice(1)).join("");
}

function parametersOf(schema: TObject | undefined, place: "path" | "query"): Parameter[] {
  const required = (schema?.required ?? []) as readonly string[];
  return Object.entries((schema?.properties ?? {}) as Readonly<Record<string, { readonly description?: string }>>).map(
    ([name, { description, ...property }]) => ({
      name,
      in: place,
      required: required.includes(name),
      ...(description === undefined ? {} : { description }),
      schema: property,
    }),
  );
}

function bodyContent(body: NonNullable<Route["body"]>): Content {
  if (!("raw" in body)) return { "application/json": { schema: body as TSchema } };
  return Object.fromEntries((body.raw as readonly string[]).map((type) => [type, { schema: {} }]));
}

function responsesOf({ answers }: Route): Operation["responses"] {
  const declared = Object.entries(answers).map(([status, answer]) => {
    const content: Content =
      typeof answer === "string" ? { [mediaTypeOf(answer)]: { schema: { type: "string" } } } : { "application/json": { schema: answer } };
    return [status, { description: Number(status) < 400 ? "Done" : "Not so, and why", content }] as const;
  });
  return {
    ...Object.fromEntries(declared),
    default: { description: "Refused or failed", content: { [PROBLEM_MEDIA_TYPE]: { schema: { $ref: "#/components/schemas/Problem" } } } },
  };
}

function mediaTypeOf(type: string): string {
  return type.replace(/;.*/s, "").trim();
}
