// The stand-in's page: nothing but an empty shell until the data call has answered, then the DOM of B3's own page.
"use strict";

const faults = JSON.parse(document.getElementById("faults").textContent);
const indexCode = location.pathname.split("/").pop();
const language = new URLSearchParams(location.search).get("language") || "pt-br";
const column = document.querySelector(".col-lg-9");
const state = { segment: "1", pageSize: 20, pageNumber: 1, keyword: "", date: "" };

const endpoint = (name, question) =>
  `/indexProxy/indexCall/${name}/${btoa(JSON.stringify(question))}`;

const escaped = (text) =>
  String(text ?? "").replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

function covered() {
  const overlay = document.createElement("div");
  overlay.className = "backdrop";
  document.body.append(overlay);
  const stays = faults.overlay_stays;
  return () => {
    if (stays === undefined) overlay.remove();
    else if (stays.seconds !== undefined) setTimeout(() => overlay.remove(), 1000 * stays.seconds);
  };
}

async function load() {
  const uncover = covered();
  const answer = await fetch(endpoint("GetPortfolioDay", {
    language, pageNumber: state.pageNumber, pageSize: state.pageSize, index: indexCode, segment: state.segment,
  }));
  // Like the real page's script, this one trusts the answer: anything but data ends in an error that only the console sees.
  const data = await answer.json();
  state.date = data.header.date;
  if (!faults.page_without_form) render(data);
  uncover();
}

function render(data) {
  if (!column.querySelector("form")) column.innerHTML = formHtml();
  const heading = column.querySelector("h2");
  if (heading) heading.textContent = `Carteira do Dia - ${data.header.date}`;
  column.querySelector("#valid").innerHTML = `Carteira Teórica do ${indexCode} válida para&nbsp;${data.header.date}`;
  column.querySelector("table").innerHTML = tableHtml(data);
  column.querySelector("#listing_pagination").innerHTML = paginationHtml(data.page);
}

function formHtml() {
  const heading = faults.no_heading ? "" : "<h2></h2>";
  const segment = faults.no_segment ? "" : `
    <select id="segment" formcontrolname="segment" class="form-control">
      <option value="1">Código</option><option value="2">Setor de Atuação</option>
    </select>`;
  const download = faults.no_download_link ? "" : `<a href="${escaped(location.pathname + location.search)}">Download</a>`;
  return `
<form novalidate class="ng-untouched ng-pristine ng-valid">
  ${heading}<p id="valid"></p>
  <div class="row">
    <div class="col-12 col-md-4"><div class="form-group"><label>Consulta por</label>${segment}</div></div>
    <div class="col-md-4 col-12"><div class="form-group">
      <input type="text" id="keyword" formcontrolname="keyword" maxlength="30" class="form-control" placeholder="Código ou ação">
    </div></div>
    <div class="form-group col-md-2"><button type="submit" class="btn btn-primary">BUSCAR</button></div>
    <div class="form-group col-md-2"><button type="button" class="btn btn-primary">LIMPAR</button></div>
  </div>
  <div class="row"><div class="col-12">
    <p>Esta tabela considera as variações na participação de cada um dos papéis na composição total do índice, apuradas
      para a abertura do dia.</p>
    <table class="table table-responsive-sm table-responsive-md"></table>
    <div class="row">
      <div class="col-md-6">
        <select id="selectPage" formcontrolname="selectPage" class="form-control">
          <option>20</option><option>40</option><option>60</option><option>120</option>
        </select>
        <label class="pt-2">Resultados por página</label>
      </div>
      <div class="col-md-6"><nav class="right"><pagination-controls id="listing_pagination"></pagination-controls></nav></div>
    </div>
    <div class="row mt-3"><div class="col-md-12"><div class="list-avatar"><div class="list-avatar-row"><div class="content">
      <p class="primary-text">${download}</p>
    </div></div></div></div></div>
  </div></div>
</form>`;
}

function tableHtml(data) {
  const bySector = data.results.some((row) => row.segment !== null);
  const heads = ["Código", "Ação", "Tipo", "Qtde. Teórica", "Part. (%)"];
  if (bySector) { heads.unshift("Setor"); heads.push("Part. (%)Acum."); }
  const keyword = state.keyword.toUpperCase();
  const rows = data.results
    .filter((row) => !keyword || `${row.cod} ${row.asset}`.toUpperCase().includes(keyword))
    .map((row) => {
      const texts = [row.cod, row.asset, row.type];
      const numbers = [row.theoricalQty, row.part];
      if (bySector) { texts.unshift(row.segment); numbers.push(row.partAcum); }
      return `<tr>${texts.map((text) => `<td>${escaped(text)}</td>`).join("")}${numberCells(numbers)}</tr>`;
    });
  const { header } = data;
  const totals = [header.theoricalQty, header.part, ...(bySector ? [header.partAcum] : [])];
  const span = bySector ? 4 : 3;
  return `
    <thead><tr>${heads.map((text) => `<th>${escaped(text)}</th>`).join("")}</tr></thead>
    <tbody>${rows.join("")}</tbody>
    <tfoot>
      <tr><td colspan="${span}"> ${escaped(header.text)} </td>${numberCells(totals)}</tr>
      <tr><td colspan="${span}"> ${escaped(header.textReductor)} </td>${numberCells([header.reductor])}<td></td></tr>
    </tfoot>`;
}

const numberCells = (texts) => texts.map((text) => `<td class="text-right">${escaped(text)}</td>`).join("");

function paginationHtml(page) {
  const numbers = Array.from({ length: page.totalPages }, (_, place) => place + 1);
  const edge = (name, to) => (to >= 1 && to <= page.totalPages
    ? `<li class="pagination-${name}"><a tabindex="0" data-page="${to}"></a></li>`
    : `<li class="pagination-${name} disabled"><span></span></li>`);
  const item = (number) => (number === page.pageNumber
    ? `<li class="current"><span>${number}</span></li>`
    : `<li><a tabindex="0" data-page="${number}"><span>${number}</span></a></li>`);
  return `<pagination-template><ul class="ngx-pagination">
    ${edge("previous", page.pageNumber - 1)}
    <li class="small-screen"> ${page.pageNumber} / ${page.totalPages} </li>
    ${numbers.map(item).join("")}
    ${edge("next", page.pageNumber + 1)}
  </ul></pagination-template>`;
}

async function download() {
  const question = { index: indexCode, language: "pt-br" };
  if (state.segment === "2") question.segment = "2";
  const address = endpoint("GetDownloadPortfolioDay", question);
  if (faults.download_stalls) { save(`${address}?as=attachment`); return; }
  const text = (await (await fetch(address)).text()).replace(/^"|"$/g, "");
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  save(URL.createObjectURL(new Blob([bytes], { type: "text/csv" })));
}

function save(address) {
  const link = document.createElement("a");
  link.href = address;
  link.download = `${indexCode}Dia_${state.date.replaceAll("/", "-")}.csv`;
  document.body.append(link);
  link.click();
  link.remove();
}

column.addEventListener("change", (event) => {
  if (event.target.id === "segment") { state.segment = event.target.value; state.pageNumber = 1; load(); }
  if (event.target.id === "selectPage") { state.pageSize = Number(event.target.value); state.pageNumber = 1; load(); }
});

column.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link) {
    if (event.target.textContent === "LIMPAR") { column.querySelector("#keyword").value = ""; state.keyword = ""; load(); }
    return;
  }
  event.preventDefault();
  if (link.dataset.page) { state.pageNumber = Number(link.dataset.page); load(); } else download();
});

column.addEventListener("submit", (event) => {
  event.preventDefault();
  state.keyword = column.querySelector("#keyword").value.trim();
  load();
});

load();
