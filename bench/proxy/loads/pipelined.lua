-- Sixteen requests to a write. Each connection sends the next sixteen when it has all the answers.
init = function(args)
  local requests = {}
  for i = 1, 16 do requests[i] = wrk.format() end
  pipeline = table.concat(requests)
end

request = function() return pipeline end
