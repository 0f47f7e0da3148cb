// One account in a sheet: its balance, a top-up, and its transactions, the newest first.

import { get, send } from "./api.js";
import { confirm, sheet, toast } from "./dialog.js";
import { h, text } from "./dom.js";
import { NONE, amount, exactly, moment } from "./format.js";
import { empty, field, loading, row, table, trouble } from "./parts.js";

const BILLING = "/admin/billing";
export const ACCOUNTS = `${BILLING}/accounts`;

const PAGE = 50;
const HISTORY = [["When", "time"], ["What", "name"], ["Amount", "num"]];

/** Random, also where the page is not a secure context. */
const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/**
 * The form of a top-up. `account` is `""` where it is still to be named. `posted` is called with the transaction.
 *
 * The Idempotency-Key stays the same until the form is changed or the transaction is posted, so that sending it again
 * after a failure posts it once.
 */
function form(account, { accountOf, signal, posted }) {
  const input = (attributes) => h("input", { autocomplete: "off", spellcheck: "false", required: true, ...attributes });
  const whose = account ? null : input({ maxlength: 200 });
  const sum = input({ type: "number", step: "any", inputmode: "decimal" });
  const why = input({ value: "Top-up", maxlength: 500 });
  const problem = h("p.notice", { "data-tone": "bad", role: "alert", hidden: true });
  const button = h("button.button.primary", { type: "submit" }, "Top up");
  let key = newKey();

  async function submit(event) {
    event.preventDefault();
    const body = { user_id: account || whose.value.trim(), amount: sum.valueAsNumber, description: why.value.trim() };
    problem.hidden = true;
    button.disabled = true;
    try {
      const before = await accountOf(body.user_id);
      const after = `${before.opened === false ? `There is no account ${body.user_id} yet: it will be opened with ${amount(before.balance)}, and has` : `The balance is ${amount(before.balance)} now, and`} ${amount(before.balance + body.amount)} afterwards.`;
      const taken = body.amount < 0;
      const question = { title: `${taken ? "Take" : "Add"} ${amount(Math.abs(body.amount))} ${taken ? "from" : "to"} ${body.user_id}?`, text: `${after} A transaction cannot be changed: a correction is another one.`, yes: taken ? "Take" : "Add", grave: taken };
      if (!(await confirm(question))) return;
      const made = await (await send("POST", `${BILLING}/transaction`, body, { signal, headers: { "Idempotency-Key": key } })).json();
      key = newKey();
      toast(`${amount(Math.abs(made.amount))} ${taken ? "was taken from" : "was added to"} ${made.user_id}.`);
      posted(made);
    } catch (error) {
      if (error.name === "AbortError") return;
      text(problem, error.message);
      problem.hidden = false;
    } finally {
      button.disabled = false;
    }
  }

  return h("form.try-form", { onsubmit: submit, oninput: () => (key = newKey()) },
    whose && field("Account", whose, "The owner of keys, the subject of tokens, or key: and the ID of a key without an owner"),
    h("div.fields", {}, field("Amount", sum, "A negative amount lowers the balance."), field("Description", why)),
    problem, h("div.actions", {}, button));
}

function line({ timestamp, description, amount: sum, request_id: request }) {
  const at = Date.parse(timestamp) / 1000;
  const cause = request && h("small", {}, h("a", { href: `#/requests/${encodeURIComponent(request)}` }, "Request"));
  return row(HISTORY, [h("time", { datetime: exactly(at), title: exactly(at) }, moment(at)), [h("span", {}, description), cause], `${sum > 0 ? "+" : ""}${amount(sum)}`]);
}

/** Open the sheet of an account until `signal` aborts; `""`: the account is still to be named. */
export async function open(account, signal, { changed, closed }) {
  const body = h("div.sheet-body");
  const dialog = sheet(account ? "Account" : "Top up", body, () => !signal.aborted && closed());
  signal.addEventListener("abort", () => dialog.close());
  const accountOf = (id) => get(`${BILLING}/balance/${encodeURIComponent(id)}`, { signal });

  function posted({ user_id: id }) {
    changed();
    if (account) return load();
    dialog.close();
    location.hash = `#/budgets/${encodeURIComponent(id)}`;
  }

  const top = form(account, { accountOf, signal, posted });
  if (!account) {
    body.replaceChildren(top);
    return top.querySelector("input").focus();
  }

  const balance = h("dd", {}, NONE);
  const history = table(`Transactions of ${account}`, HISTORY);
  history.element.classList.add("history");
  const instead = h("div", {}, loading(4));
  const more = h("button.button", { hidden: true, onclick: () => older() }, "Show more");
  let shown = []; // ids
  body.replaceChildren(
    h("div.verdict", {}, h("strong", {}, account), h("a", { href: `#/usage?owner=${encodeURIComponent(account)}` }, "Usage")),
    h("dl.facts", {}, h("div", {}, h("dt", {}, "Balance"), balance)),
    h("h3", {}, "Top up"), top, h("h3", {}, "Transactions"), instead, history.element, h("p", {}, more));
  history.element.hidden = true;

  const page = (offset) => get(`${BILLING}/transactions?${new URLSearchParams({ user_id: account, limit: PAGE, offset })}`, { signal });

  /** Of what came in meanwhile, the last of the rows that are shown may be sent again. */
  function add(found) {
    history.body.append(...found.data.filter(({ id }) => !shown.includes(id)).map(line));
    shown = [...shown, ...found.data.map(({ id }) => id)];
    more.hidden = !found.has_more;
  }

  async function load() {
    try {
      const [{ balance: sum }, found] = await Promise.all([accountOf(account), page(0)]);
      text(balance, amount(sum));
      history.body.replaceChildren();
      shown = [];
      add(found);
      history.element.hidden = !shown.length;
      instead.replaceChildren(...(shown.length ? [] : [empty("No transactions yet", "Each call that is answered becomes one, and each top-up.")]));
    } catch (error) {
      if (error.name !== "AbortError") instead.replaceChildren(trouble(error, load));
    }
  }

  async function older() {
    more.disabled = true;
    try {
      add(await page(shown.length));
    } catch (error) {
      if (error.name !== "AbortError") toast(error.message, "bad");
    }
    more.disabled = false;
  }

  load();
}
