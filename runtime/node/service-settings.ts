/** What a node's configuration says to the process that asks models. */
import type { SecretOrigins } from "../../inference/secrets/secret-origins.ts";
import type { ServiceSettings } from "../../inference/service/model-source.ts";
import type { Config } from "./config.ts";

export function serviceSettings(config: Config): ServiceSettings {
  const { secretsDir, residencies } = config;
  const directory = secretsDir === undefined ? {} : { secretsDirectory: secretsDir };
  return { residencies, secretOrigins: secretOriginsOf(config), ...directory };
}

/** In production a secret goes nowhere until it is said where. */
export function secretOriginsOf({ secretsOrigins: origins, profile }: Config): SecretOrigins {
  return { origins, others: profile === "production" ? "nowhere" : "anywhere" };
}
