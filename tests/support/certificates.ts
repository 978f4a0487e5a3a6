/**
 * A certificate authority that lives as long as its test, made with openssl.
 *
 * @module
 */
import { onHost } from "./lab.ts";

const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
const DAYS = ["-days", "2"];

/** Makes `folder`, with `ca-cert.pem` and `ca-key.pem` in it. */
export async function makeAuthority(folder: string): Promise<void> {
  await Deno.mkdir(folder);
  const out = ["-keyout", `${folder}/ca-key.pem`, "-out", `${folder}/ca-cert.pem`];
  await onHost("openssl", "req", "-x509", ...KEY, ...DAYS, "-subj", "/CN=authority", ...out);
}

/**
 * Makes `WHO-cert.pem` and `WHO-key.pem` in `folder`, signed by the authority there; `names` as openssl has them:
 * `DNS:localhost,IP:127.0.0.1`.
 */
export async function makeCertificate(folder: string, who: string, names: string): Promise<void> {
  const at = (name: string) => `${folder}/${who}-${name}.pem`;
  const request = ["-keyout", at("key"), "-out", at("request")];
  await onHost("openssl", "req", ...KEY, "-subj", `/CN=${who}`, ...request);
  await Deno.writeTextFile(`${folder}/names`, `subjectAltName=${names}\n`);
  const authority = ["-CA", `${folder}/ca-cert.pem`, "-CAkey", `${folder}/ca-key.pem`];
  const signed = ["-in", at("request"), "-out", at("cert"), "-extfile", `${folder}/names`];
  await onHost("openssl", "x509", "-req", ...authority, "-CAcreateserial", ...DAYS, ...signed);
}
