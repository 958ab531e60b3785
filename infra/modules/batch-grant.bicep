// One role for one identity on the Batch account.
param accountName string
param principalId string

@description('Key of a role in permissions.json; roles.bicep names its definition by the same rule.')
param roleKey string
param why string

var roleDefinitionId = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', guid(resourceGroup().id, 'darkroom', roleKey))

resource target 'Microsoft.Batch/batchAccounts@2025-06-01' existing = {
  name: accountName
}

resource grant 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(target.id, principalId, roleKey)
  scope: target
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: roleDefinitionId
    description: why
  }
}
