# SPDX-License-Identifier: Apache-2.0
"""The example's page in a real browser, as people use it."""

import pytest

from browser import Browser
from people import PASSWORD, address
from stack import ROOT

SHOTS = ROOT / ".build/screenshots"


@pytest.fixture(scope="module")
def browser():
    browser = Browser()
    yield browser
    browser.close()


def enter(page, email: str, action: str):
    page.fill("#door-form [name=email]", email)
    page.fill("#door-form [name=password]", PASSWORD)
    page.run(f"document.querySelector('#door-form [value={action}]').click()")
    page.until("!document.querySelector('#mine').hidden && document.querySelector('#orders').children.length > 0",
               f"signed {action}")


def listed(page):
    page.until("document.querySelectorAll('#products tr').length === 12", "a page of products")


def live(page):
    page.until("document.querySelector('#live').textContent === 'Live'", "live rows")


def test_an_order_placed_in_one_window_shows_in_another(example, browser):
    first, second = browser.person(example.url), browser.person(example.url)
    email = address()
    listed(first)
    enter(first, email, "up")
    enter(second, email, "in")
    live(first)
    live(second)
    assert second.text("#orders") == "No orders yet."

    first.fill("#search [name=text]", "wrench")
    first.tab_to("#search button")
    first.press("Enter")
    first.until("[...document.querySelectorAll('#products tr')].every(row => /wrench/i.test(row.children[1].innerText))"
                " && document.querySelectorAll('#products tr').length > 0", "found products")
    first.tab_to("#products button")
    first.press(" ")
    first.until("document.querySelectorAll('#basket li').length === 1", "a line in the basket")
    first.fill("#order [name=customer]", "Harbour & Sons")
    first.press("Enter")
    first.until("document.querySelector('#message').innerText === 'Order placed.'", "the order is placed")

    second.until("document.querySelector('#orders').innerText.includes('Harbour & Sons')",
                 "the order in the other window")
    first.screenshot(SHOTS / "order-placed.png")
    second.screenshot(SHOTS / "order-seen.png")
    assert first.failures() == [] and second.failures() == []


def test_search_paging_and_narrow_screens(example, browser):
    page = browser.person(example.url)
    listed(page)
    names = page.text("#products")
    page.tab_to("#next")
    page.press("Enter")
    page.until("document.querySelector('#page').innerText.startsWith('Page 2 of')", "the second page")
    assert page.text("#products") != names
    page.fill("#search [name=text]", "no such thing")
    page.press("Enter")
    page.until("document.querySelectorAll('#products tr').length === 0", "nothing found")
    page.fill("#search [name=text]", "")
    page.press("Enter")
    listed(page)
    for width, height in [(1280, 800), (360, 740)]:
        page.size(width, height)
        page.run("scrollTo(0, 0)")
        assert page.run("document.documentElement.scrollWidth") <= width, "the page is wider than its window"
        page.screenshot(SHOTS / f"products-{width}.png")
    assert page.failures() == []


def test_errors_are_words(example, browser):
    page = browser.person(example.url)
    listed(page)
    page.fill("#door-form [name=email]", address())
    page.fill("#door-form [name=password]", PASSWORD)
    page.press("Enter")
    page.until("document.querySelector('#message.bad')?.innerText.length > 0", "the refusal")
    assert page.text("#message") == "Invalid login credentials"
    page.screenshot(SHOTS / "wrong-password.png")
    assert page.failures() == []
