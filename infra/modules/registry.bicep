// A container registry for the worker's image, for those who would rather run containers. Pulled from by identity.
param location string
param tags object
param name string
param privateNetwork bool

@description('The nodes\' identity.')
param principalId string

var acrPull = '7f951dda-4ed3-4680-a7ca-43fe172d538d' // AcrPull

resource registry 'Microsoft.ContainerRegistry/registries@2023-07-01' = {
  name: name
  location: location
  tags: tags
  sku: {
    name: privateNetwork ? 'Premium' : 'Standard' // private endpoints are a feature of Premium
  }
  properties: {
    adminUserEnabled: false
    publicNetworkAccess: privateNetwork ? 'Disabled' : 'Enabled'
  }
}

resource grant 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(registry.id, principalId, acrPull)
  scope: registry
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', acrPull)
    description: 'Nodes pull the worker\'s image.'
  }
}

output id string = registry.id
output loginServer string = registry.properties.loginServer
