// Who is recommended what.
import assert from "node:assert/strict";

const ITEMS = [
  { item: { item_id: "i3", genres: "Drama" }, prediction: 4.25, logit: 4.25 },
  { item: { item_id: "i<b>7", genres: "Comedy|Crime" }, prediction: 3.5, logit: 3.5 },
];

/** Answers requests for recommendations in the server's place, and keeps what was asked. */
async function answer(page, status, body) {
  const asked = [];
  await page.route("**/v1/recommend", (route) => {
    asked.push(route.request().postDataJSON());
    return route.fulfill({ status, contentType: "application/json", body: JSON.stringify(body) });
  });
  return asked;
}

async function ask(page) {
  const form = page.locator("#recommend-form");
  for (const field of await form.locator("[id^=user-][name]").all()) {
    await field.fill(await field.getAttribute("name") === "user_id" ? "u1" : "");
  }
  await form.getByRole("button", { name: "Recommend" }).click();
}

export const recommend = {
  "the page recommends what the server does, or says how to get a catalogue": async ({ visit, url }) => {
    visit.expect(404);
    const page = await visit.open(url, "/?model=ratings");
    const request = { model: "ratings", user: { user_id: "u1" }, k: 10 };
    const response = await fetch(`${url}/v1/recommend`, { method: "POST", body: JSON.stringify(request) });
    const said = await response.json();
    await page.locator("#recommend-heading").waitFor();
    if (await page.locator("#recommend-form").count() > 0) await ask(page);
    if (response.status === 404) {
      await page.locator("#recommend .warning").getByText("There is no catalogue").waitFor();
      return;
    }
    assert.equal(response.status, 200, JSON.stringify(said));
    const lines = page.getByRole("table", { name: "Recommended items" }).locator("tbody tr");
    await lines.first().waitFor();
    assert.equal(await lines.count(), said.items.length);
    for (const [place, { item, prediction }] of said.items.entries()) {
      const text = await lines.nth(place).innerText();
      for (const value of [...Object.values(item), prediction.toPrecision(4)]) {
        assert.ok(text.includes(value), `${value} in ${text}`);
      }
    }
    await visit.screenshot(page, "recommend");
  },

  "all that the form holds is asked for, and items are shown as text": async ({ visit, url }) => {
    const page = await visit.open(url, "/?model=ratings");
    await withForm(page);
    const asked = await answer(page, 200, { model: "ratings", version: "1", items: ITEMS, candidates: 30 });
    await page.getByLabel("How many").fill("2");
    await page.getByLabel("Filter").fill('genres contains "Drama"');
    await page.getByLabel("Leave out what the user has seen").check();
    await ask(page);
    const table = page.getByRole("table", { name: "Recommended items" });
    await table.getByText("i<b>7").waitFor();
    assert.deepEqual(asked, [{
      model: "ratings", user: { user_id: "u1" }, k: 2, filter: 'genres contains "Drama"', exclude_seen: true,
    }]);
    await page.getByText("The best 2 of 30 candidates.").waitFor();
    assert.equal(await table.locator("tbody tr").count(), 2);
  },

  "Why? scores the user and the item above": async ({ visit, url }) => {
    const page = await visit.open(url, "/?model=ratings");
    await withForm(page);
    await answer(page, 200, { model: "ratings", version: "1", items: ITEMS, candidates: 30 });
    await ask(page);
    await page.getByRole("button", { name: "Why rank 1" }).click();
    await page.getByRole("table", { name: "What moves it" }).waitFor();
    const part = page.locator("#score");
    assert.equal(await part.getByLabel("user_id").inputValue(), "u1");
    assert.equal(await part.getByLabel("item_id").inputValue(), "i3");
  },

  "no items are told": async ({ visit, url }) => {
    const page = await visit.open(url, "/?model=ratings");
    await withForm(page);
    await answer(page, 200, { model: "ratings", version: "1", items: [], candidates: 0 });
    await ask(page);
    await page.getByText("None of the items may be recommended (0 candidates).").waitFor();
  },

  "an error stands beside the filter, or the column of the user": async ({ visit, url }) => {
    visit.expect(400);
    const page = await visit.open(url, "/?model=ratings");
    await withForm(page);
    await answer(page, 400, { error: 'filter: expected a column of items, found "gnres"', code: "bad_request" });
    await ask(page);
    await page.locator("#recommend-filter-error").getByText("gnres").waitFor();
    assert.equal(await page.getByLabel("Filter").getAttribute("aria-invalid"), "true");
    await page.unroute("**/v1/recommend");
    await answer(page, 400, { error: 'user, column "user_id": expected a text, found a list', code: "bad_value" });
    await ask(page);
    await page.locator("#recommend").getByText("Expected a text, found a list").waitFor();
    assert.equal(await page.locator("#recommend-filter-error").innerText(), "");
  },

  "a server without a catalogue says how to get one": async ({ visit, url }) => {
    visit.expect(404);
    const page = await visit.open(url, "/?model=ratings");
    await withForm(page);
    await answer(page, 404, { error: "there are no items to choose from", code: "not_found", hint: "give some" });
    await ask(page);
    await page.getByText("There is no catalogue of items for “ratings” to choose from. There are no items").waitFor();
    assert.equal(await page.locator("#recommend-form").count(), 0);
  },
};

/** Makes sure that the page offers its form, also where this server has no catalogue. */
async function withForm(page) {
  await page.route("**/v1/models", async (route) => {
    const response = await route.fetch();
    const said = await response.json();
    for (const { current } of said.models) current.catalogue = { columns: ["item_id", "genres", "price"], items: 30 };
    await route.fulfill({ response, json: said });
  });
  await page.reload();
  await page.locator("#recommend-form").waitFor();
  assert.equal(await page.locator("#recommend-form").getByLabel("genres").count(), 0, "a column of items");
}
