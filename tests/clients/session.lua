-- What a user of Neovim does, and what is seen, as JSON for the test. Any failure is its message.

local out = vim.env.MEMLENS_TEST_OUTPUT
local seen = { version = string.format("%d.%d", vim.version().major, vim.version().minor) }

local function finish(failure)
  seen.failure = failure
  local log = vim.lsp.get_log_path()
  if failure and vim.fn.filereadable(log) == 1 then
    seen.failure = failure .. "\n" .. table.concat(vim.fn.readfile(log), "\n")
  end
  vim.fn.writefile({ vim.fn.json_encode(seen) }, out)
  vim.cmd("qall!")
end

local function wait_for(what, condition)
  if not vim.wait(60000, condition, 50) then
    error("waited in vain for " .. what .. ": " .. vim.fn.json_encode(seen))
  end
end

local function titles()
  local found = {}
  for _, lens in ipairs(vim.lsp.codelens.get(0)) do
    if lens.command then
      table.insert(found, { line = lens.range.start.line + 1, title = lens.command.title })
    end
  end
  return found
end

-- The configuration asks for lenses when the buffer is attached, entered and left alone for a while.
local function see_lenses(what, matches)
  wait_for(what, function()
    vim.cmd("doautocmd CursorHold")
    vim.wait(100)
    seen.lenses = titles()
    return matches(seen.lenses)
  end)
end

local function any(list, matches)
  for _, item in ipairs(list) do
    if matches(item) then
      return true
    end
  end
  return false
end

local function session()
  vim.cmd("edit tests/test_catalog.py")
  local line = vim.fn.search("def test_thumbnails_stay_small", "w")
  see_lenses("lenses", function(lenses)
    return any(lenses, function(lens)
      return lens.line == line and lens.title == "Run with memory limits"
    end)
  end)
  seen.lenses_before = seen.lenses

  -- With more than one lens on the line Neovim asks which one.
  vim.ui.select = function(items, options, choose)
    for index, item in ipairs(items) do
      local text = options and options.format_item and options.format_item(item) or item
      if tostring(text):find("Run with memory limits", 1, true) then
        return choose(item, index)
      end
    end
    error("there is no lens to run among " .. vim.inspect(items))
  end
  -- Tests run from disk: what was typed has to be there.
  vim.fn.append(vim.fn.line("$"), "# typed and not saved")
  vim.fn.cursor(line, 1)
  vim.api.nvim_feedkeys("\\m", "x", false)
  seen.modified = vim.bo.modified

  wait_for("diagnostics", function()
    return #vim.diagnostic.get(0) > 0
  end)
  see_lenses("the peak", function(lenses)
    return any(lenses, function(lens)
      return lens.title:find("peak", 1, true) ~= nil
    end)
  end)
  seen.line = line
  seen.diagnostics = {}
  for _, diagnostic in ipairs(vim.diagnostic.get(0)) do
    table.insert(seen.diagnostics, {
      line = diagnostic.lnum + 1,
      severity = diagnostic.severity,
      source = diagnostic.source,
      code = diagnostic.code,
      message = diagnostic.message,
    })
  end

  if vim.lsp.inlay_hint then
    vim.cmd("edit shop/catalog.py")
    wait_for("inlay hints", function()
      seen.hints = {}
      for _, hint in ipairs(vim.lsp.inlay_hint.get({ bufnr = 0 })) do
        local label = hint.inlay_hint.label
        table.insert(seen.hints, type(label) == "string" and label or label[1].value)
      end
      return #seen.hints > 0
    end)
  end
end

local ok, failure = xpcall(session, debug.traceback)
finish(not ok and failure or nil)
