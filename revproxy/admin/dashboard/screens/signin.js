/** Signing in by a token; in front of what was there, if the session has ended meanwhile. */
import { signIn } from "../parts/api.js";
import { html, useEffect, useRef, useState } from "../parts/html.js";

export function SignIn({ isAgain }) {
  const [token, setToken] = useState("");
  const [wrong, setWrong] = useState("");
  const [isBusy, setBusy] = useState(false);
  const dialog = useRef(), input = useRef();
  useEffect(() => { dialog.current?.showModal(); input.current.focus(); }, []);
  const send = async (event) => {
    event.preventDefault();
    if (!token.trim() || isBusy) return setWrong(token.trim() ? "" : "A token begins with rvp_.");
    setBusy(true);
    try {
      await signIn({ token: token.trim() });
    } catch (error) {
      setWrong(error.message);
      setBusy(false);
    }
  };
  const form = html`<form class=${isAgain ? "" : "card"} onSubmit=${send}>
    <h1 id="dialog-title">${isAgain ? "Your session has ended" : "Sign in"}</h1>
    ${isAgain && html`<p class="dim">Sign in again: what you typed is still there.</p>`}
    <label class="field"><span>Token</span><input ref=${input} type="password" name="token" autocomplete="current-password" value=${token} placeholder="rvp_…" spellcheck="false"
      aria-invalid=${wrong ? "true" : undefined} aria-describedby=${wrong ? "signin-wrong" : undefined} onInput=${(e) => setToken(e.target.value)} />
      ${wrong && html`<span class="wrong" id="signin-wrong" role="alert">${wrong}</span>`}</label>
    <button type="submit" class="button main" aria-busy=${isBusy ? "true" : undefined}>Sign in</button>
    <p class="small dim">Made on the edge's machine: <code>revproxy token new NAME --role ROLE</code></p></form>`;
  if (isAgain) return html`<dialog ref=${dialog} aria-labelledby="dialog-title" onCancel=${(e) => e.preventDefault()}>${form}</dialog>`;
  return html`<main class="signin"><div class="brand"><svg viewBox="0 0 20 20" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
    <path d="M2 10h4l3-6 3 12 2-6h4" /></svg>revproxy</div>${form}</main>`;
}
