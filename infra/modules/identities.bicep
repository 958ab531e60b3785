// Three identities, so that each can be given exactly what it does: the function app, the nodes, Event Grid.
param location string
param tags object
param token string

resource app 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'id-app-${token}'
  location: location
  tags: tags
}

resource node 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'id-node-${token}'
  location: location
  tags: tags
}

resource events 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'id-events-${token}'
  location: location
  tags: tags
}

output appId string = app.id
output appClientId string = app.properties.clientId
output appPrincipalId string = app.properties.principalId
output nodeId string = node.id
output nodeClientId string = node.properties.clientId
output nodePrincipalId string = node.properties.principalId
output eventsId string = events.id
output eventsPrincipalId string = events.properties.principalId
